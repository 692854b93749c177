import { type ChildProcess, spawn } from 'node:child_process';
import { onTestFinished } from 'vitest';
import { guard } from '../support/guard.ts';
import { poll } from '../support/poll.ts';

/** One command of a page, and what the page says that it prints. */
export interface Step {
  readonly command: string;
  readonly output: readonly string[];
}

/** The text of every fenced block in a language, in their order. */
export function blocks(page: string, language: string): string[] {
  return [...page.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap(([, name, text = '']) =>
    name === language ? [text] : [],
  );
}

/** The commands of a page's `console` blocks: `$ ` begins one, `> ` goes on with it, the rest is what it prints. */
export function transcript(page: string): Step[] {
  const steps: { command: string; output: string[] }[] = [];
  for (const line of blocks(page, 'console').flatMap((text) => text.split('\n').slice(0, -1))) {
    const last = steps.at(-1);
    if (line.startsWith('$ ')) steps.push({ command: line.slice(2), output: [] });
    else if (last === undefined) throw new Error(`a block begins with what nothing printed: ${line}`);
    else if (line.startsWith('> ')) last.command += `\n${line.slice(2)}`;
    else last.output.push(line);
  }
  return steps;
}

/** Whether a text has these lines, in this order, each from its start; `…` stands for anything, over lines too. */
export function prints(text: string, output: readonly string[]): boolean {
  const escaped = output.map((line) =>
    line
      .split('…')
      .map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
      .join('.*?'),
  );
  return new RegExp(`^${escaped.join('\n')}`, 'ms').test(text);
}

/** One shell through which a reader goes from command to command, so that variables stay. */
export class Terminal {
  readonly #shell: ChildProcess;
  #text = '';

  constructor(cwd: string, env: Readonly<Record<string, string>>) {
    // A group of its own: what it started ends with it.
    this.#shell = spawn('/bin/sh', [], { cwd, env: { ...process.env, ...env }, detached: true });
    guard(this.#shell);
    for (const stream of [this.#shell.stdout, this.#shell.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#text += text;
      });
    onTestFinished(() => {
      if (this.#shell.pid !== undefined && this.#shell.exitCode === null)
        process.kill(-this.#shell.pid, 'SIGKILL');
    });
  }

  /** What was printed since the last command. */
  get text(): string {
    return this.#text;
  }

  /** Runs a command to its end; gives what it printed. */
  async run(command: string): Promise<string> {
    this.start(`${command}\nprintf '\\n%s\\n' "-- done"`);
    await poll(`the end of ${command}`, () => this.#text.includes('\n-- done\n'));
    return this.#text.replace('\n-- done\n', '');
  }

  /** Begins a command that is not waited for. */
  start(command: string): void {
    this.#text = '';
    this.#shell.stdin?.write(`${command}\n`);
  }

  /** Waits until that has printed what the page says. @throws Error with what it printed instead */
  async printed(output: readonly string[]): Promise<void> {
    const waited = poll('the output that the page shows', () => prints(this.#text, output));
    await waited.catch((cause) => {
      throw new Error(`printed was:\n${this.#text}\nand not:\n${output.join('\n')}`, { cause });
    });
  }
}
