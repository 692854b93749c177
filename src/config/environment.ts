/** The environment as `process.env` has it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A text whose `${…}` were replaced. */
export interface Expansion {
  readonly text: string;
  /** Names of the variables it asked for; empty where it held none. */
  readonly variables: readonly string[];
  readonly faults: readonly Fault[];
}

export interface Fault {
  /** Which `${` of the text, counted from 0 and with escaped ones counted too: how its place in the file is found. */
  readonly opening: number;
  /** What is wrong and how to mend it. Never holds a value of the environment. */
  readonly message: string;
}

interface Reference {
  readonly name: string;
  readonly fallback: string | undefined;
  /** The index behind its closing brace. */
  readonly end: number;
}

const OPENING = '$' + '{';
const HEAD = /^\$\{([A-Za-z_][A-Za-z0-9_]*)(\}|:-)/;
const MALFORMED = `begins a variable with ${OPENING} but does not end it: write ${OPENING}NAME} or ${OPENING}NAME:-default}, or $${OPENING} for ${OPENING} itself`;

/** What is expanded. */
export interface ExpandOptions {
  /** Whether it may be a secret, of which a default would stand in the file. Default false. */
  readonly isSecret?: boolean;
}

/**
 * Replaces `${NAME}` and `${NAME:-default}`; `$${` stands for `${` itself. As in a shell, the default also takes the
 * place of an empty value, and may hold variables of its own. What a variable holds is never expanded again.
 */
export function expand(text: string, env: Environment, { isSecret = false }: ExpandOptions = {}): Expansion {
  const run = new Run(env, isSecret);
  return { text: run.replace(text), variables: run.variables, faults: run.faults };
}

class Run {
  readonly variables: string[] = [];
  readonly faults: Fault[] = [];
  readonly #env: Environment;
  readonly #isSecret: boolean;
  #opening = -1;

  constructor(env: Environment, isSecret: boolean) {
    this.#env = env;
    this.#isSecret = isSecret;
  }

  replace(source: string): string {
    let out = '';
    let at = 0;
    for (;;) {
      const next = source.indexOf(OPENING, at);
      if (next < 0) return out + source.slice(at);
      this.#opening += 1;
      if (next > at && source[next - 1] === '$') {
        out += source.slice(at, next - 1) + OPENING;
        at = next + OPENING.length;
        continue;
      }
      const reference = parseReference(source, next);
      if (reference === undefined) {
        this.faults.push({ opening: this.#opening, message: MALFORMED });
        return out;
      }
      out += source.slice(at, next) + this.#substitute(reference);
      at = reference.end;
    }
  }

  #substitute({ name, fallback }: Reference): string {
    this.variables.push(name);
    const value = Object.hasOwn(this.#env, name) ? this.#env[name] : undefined;
    if (fallback === undefined) {
      if (value === undefined) this.faults.push({ opening: this.#opening, message: this.#unset(name) });
      return value ?? '';
    }
    if (value === undefined || value === '') return this.replace(fallback);
    // An unused default is passed over unread, but its own `${` count all the same.
    this.#opening += fallback.split(OPENING).length - 1;
    return value;
  }

  #unset(name: string): string {
    const problem = `names the environment variable ${name}, which is not set: set it`;
    return this.#isSecret ? problem : `${problem}, or write ${OPENING}${name}:-default}`;
  }
}

function parseReference(source: string, start: number): Reference | undefined {
  const [head = '', name, mark] = HEAD.exec(source.slice(start)) ?? [];
  if (name === undefined) return undefined;
  const body = start + head.length;
  if (mark === '}') return { name, fallback: undefined, end: body };
  const end = closingBrace(source, body);
  return end === undefined ? undefined : { name, fallback: source.slice(body, end - 1), end };
}

/** The index behind the `}` that closes what was opened before `from`; a default may hold `{name}` templates. */
function closingBrace(text: string, from: number): number | undefined {
  let depth = 1;
  for (let at = from; at < text.length; at++) {
    if (text[at] === '{') depth += 1;
    if (text[at] === '}') depth -= 1;
    if (depth === 0) return at + 1;
  }
  return undefined;
}
