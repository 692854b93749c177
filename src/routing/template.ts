import { SidestreamError } from '../errors.ts';
import { subjectProblem } from './subject.ts';

/** What a browser may ask for: 1–256 of these. DESIGN 2.4. */
const CHANNEL_NAME = /^[A-Za-z0-9_.:~-]{1,256}$/;
/** One parameter's value: as a channel name, less the dot that parts subject tokens. */
const PARAMETER_VALUE = '[A-Za-z0-9_:~-]';
const PARAMETER_NAME = /^[A-Za-z][A-Za-z0-9_]*$/;

export function isChannelName(text: string): boolean {
  return CHANNEL_NAME.test(text);
}

type Part = { readonly literal: string } | { readonly parameter: string };

/** A channel resolved by a route: what to subscribe to upstream. */
export interface Resolved {
  readonly params: Readonly<Record<string, string>>;
  /** The subject with every parameter filled in; only wildcards that the operator wrote remain. */
  readonly subject: string;
}

/** A channel template and the subject template that feeds it, matched both ways. */
export interface RouteTemplate {
  readonly channel: string;
  readonly subject: string;
  readonly params: readonly string[];
  /** Channel name → parameters and subject; `undefined` where the name is not of this template. */
  toSubject(channel: string): Resolved | undefined;
  /** Concrete subject → channel name; `undefined` where the subject is not of this template or no channel can hold its tokens. */
  toChannel(subject: string): string | undefined;
  /** The channel name with its parameters filled in; not checked. */
  fill(params: Readonly<Record<string, string>>): string;
}

/**
 * Parses both halves of a route.
 * @throws SidestreamError TEMPLATE_INVALID — malformed, or some channel would not come back from its own subject
 */
export function parseRouteTemplate(channel: string, subject: string): RouteTemplate {
  const channelParts = parseParts(channel, 'channel');
  const params = parametersOf(channelParts);
  checkChannel(channel, channelParts);
  checkSubject(subject, params);
  const channelPattern = channelRegExp(channelParts);
  const subjectPattern = subjectRegExp(subject);
  const leading = /^\{(\w+)\}/.exec(subject)?.[1];
  return {
    channel,
    subject,
    params,
    toSubject(name) {
      if (!isChannelName(name)) return undefined;
      const found = channelPattern.exec(name);
      if (found === null) return undefined;
      const values: Record<string, string> = { ...found.groups };
      // A browser that fills the first token could reach `_INBOX` and the like: other people's replies.
      if (leading !== undefined && values[leading]?.startsWith('_')) return undefined;
      return { params: values, subject: fill(subject, values) };
    },
    fill: (values) => fill(channel, values),
    toChannel(concrete) {
      const found = subjectPattern.exec(concrete);
      if (found === null) return undefined;
      const name = fill(channel, found.groups ?? {});
      return isChannelName(name) ? name : undefined;
    },
  };
}

/** A channel name that both templates match, or `undefined` when there is none. */
export function overlap(a: RouteTemplate, b: RouteTemplate): string | undefined {
  const left = states(parseParts(a.channel, 'channel'));
  const right = states(parseParts(b.channel, 'channel'));
  const queue: [number, number, string][] = [[0, 0, '']];
  const seen = new Set<string>(['0:0']);
  for (const [i, j, name] of queue) {
    if (left[i]?.final && right[j]?.final) return name;
    for (const step of steps(left[i], right[j])) {
      const [nextI, nextJ] = [i + step.left, j + step.right];
      const key = `${nextI}:${nextJ}`;
      if (seen.has(key)) continue;
      seen.add(key);
      queue.push([nextI, nextJ, name + step.character]);
    }
  }
  return undefined;
}

function parseParts(template: string, kind: string): Part[] {
  const parts: Part[] = [];
  for (const [piece] of template.matchAll(/\{[^{}]*\}|[^{}]+|[{}]/g)) {
    if (piece === '{' || piece === '}')
      invalid(kind, template, 'has a brace that is not part of a {parameter}');
    if (!piece.startsWith('{')) {
      parts.push({ literal: piece });
      continue;
    }
    const name = piece.slice(1, -1);
    if (!PARAMETER_NAME.test(name)) {
      invalid(kind, template, `has the parameter ${piece}; a name is a letter, then letters, digits or _`);
    }
    parts.push({ parameter: name });
  }
  return parts;
}

function parametersOf(parts: readonly Part[]): string[] {
  return parts.flatMap((part) => ('parameter' in part ? [part.parameter] : []));
}

function checkChannel(channel: string, parts: readonly Part[]): void {
  if (channel === '') invalid('channel', channel, 'is empty');
  const params = parametersOf(parts);
  const twice = params.find((name, index) => params.indexOf(name) !== index);
  if (twice !== undefined) invalid('channel', channel, `names {${twice}} twice`);
  let separator: string | undefined = '.';
  for (const part of parts) {
    if ('literal' in part) {
      if (!isChannelName(part.literal)) {
        invalid(
          'channel',
          channel,
          `has characters outside A-Z a-z 0-9 _ . : ~ - in ${JSON.stringify(part.literal)}`,
        );
      }
      if (separator !== undefined) separator += part.literal;
      continue;
    }
    // `{a}-{b}` cannot tell a=x,b=y-z from a=x-y,b=z: only a dot, which no value may hold, parts two parameters.
    if (!separator?.includes('.')) {
      invalid(
        'channel',
        channel,
        `does not round-trip: put a dot between {${part.parameter}} and the parameter before it`,
      );
    }
    separator = '';
  }
}

function checkSubject(subject: string, params: readonly string[]): void {
  const named: string[] = [];
  for (const token of subject.split('.')) {
    if (!/[{}]/.test(token)) continue;
    const name = /^\{([^{}]*)\}$/.exec(token)?.[1];
    if (name === undefined) {
      invalid(
        'subject',
        subject,
        `has the token ${JSON.stringify(token)}; a {parameter} is exactly one whole token`,
      );
    }
    if (!params.includes(name)) {
      invalid(
        'subject',
        subject,
        `names {${name}}, which the channel does not; use * for a token that the channel does not name`,
      );
    }
    if (named.includes(name)) invalid('subject', subject, `names {${name}} twice`);
    named.push(name);
  }
  const missing = params.find((name) => !named.includes(name));
  if (missing !== undefined) {
    invalid('subject', subject, `does not round-trip: the channel's {${missing}} does not stand in it`);
  }
  const problem = subjectProblem(subject.replaceAll(/\{[^{}]*\}/g, 'x'));
  if (problem !== undefined) invalid('subject', subject, problem);
}

function channelRegExp(parts: readonly Part[]): RegExp {
  const body = parts.map((part) =>
    'literal' in part ? escapeRegExp(part.literal) : `(?<${part.parameter}>${PARAMETER_VALUE}+)`,
  );
  return new RegExp(`^${body.join('')}$`);
}

function subjectRegExp(subject: string): RegExp {
  const tokens = subject.split('.').map((token) => {
    if (token === '>') return '.+';
    if (token === '*') return '[^.]+';
    const name = /^\{(.*)\}$/.exec(token)?.[1];
    return name === undefined ? escapeRegExp(token) : `(?<${name}>[^.]+)`;
  });
  return new RegExp(`^${tokens.join('\\.')}$`);
}

function fill(template: string, values: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{([^{}]*)\}/g, (_, name: string) => values[name] ?? '');
}

function escapeRegExp(literal: string): string {
  return literal.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}

/** One state of the automaton of a channel template: what it takes to the next, and whether it may stay on a value character. */
interface State {
  readonly takes: string | 'value' | undefined;
  readonly loops: boolean;
  readonly final: boolean;
}

function states(parts: readonly Part[]): State[] {
  const takes = parts.flatMap((part) => ('literal' in part ? [...part.literal] : ['value']));
  return [...takes, undefined].map((take, index) => ({
    takes: take,
    loops: takes[index - 1] === 'value',
    final: index === takes.length,
  }));
}

/** Every pair of states that one shared character leads to, with a character that does. */
function steps(left: State | undefined, right: State | undefined) {
  const found: { left: 0 | 1; right: 0 | 1; character: string }[] = [];
  for (const l of moves(left)) {
    for (const r of moves(right)) {
      const character = shared(l.on, r.on);
      if (character !== undefined) found.push({ left: l.by, right: r.by, character });
    }
  }
  return found;
}

function moves(state: State | undefined): { on: string; by: 0 | 1 }[] {
  const list: { on: string; by: 0 | 1 }[] = [];
  if (state?.takes !== undefined) list.push({ on: state.takes, by: 1 });
  if (state?.loops) list.push({ on: 'value', by: 0 });
  return list;
}

function shared(a: string, b: string): string | undefined {
  if (a === b) return a === 'value' ? 'x' : a;
  const literal = a === 'value' ? b : a;
  if (a !== 'value' && b !== 'value') return undefined;
  return new RegExp(PARAMETER_VALUE).test(literal) ? literal : undefined;
}

function invalid(kind: string, template: string, problem: string): never {
  throw new SidestreamError('TEMPLATE_INVALID', `${kind} ${JSON.stringify(template)} ${problem}`, {
    fields: { kind, template },
  });
}
