import { SidestreamError } from '../errors.ts';

/** What an event template may draw on, besides the channel's own parameters. */
export interface EventContext {
  readonly channel: string;
  readonly subject: string;
  readonly params: Readonly<Record<string, string>>;
  /** A NATS message header's first value; `undefined` or empty where there is none. */
  header(name: string): string | undefined;
}

/** Gives the event name for a message; empty where what it names is missing. */
export type EventTemplate = (context: EventContext) => string;

/** Event names of ours begin so; a publisher may not use them, or it could end other people's streams. */
export const RESERVED_EVENT_PREFIX = 'sidestream.';

const HEADER_NAME = /^header\.([!#$%&'*+\-.^_`|~0-9A-Za-z]+)$/;

/**
 * `price`, `{symbol}-tick`, `{header.X-Kind}`: text and placeholders over `{channel}`, `{subject}`, the route's
 * parameters and `{header.NAME}`.
 * @throws SidestreamError TEMPLATE_INVALID
 */
export function parseEventTemplate(template: string, params: readonly string[]): EventTemplate {
  if (template === '') invalid(template, 'is empty; leave the key out for `message`');
  if (/[\r\n\u0000]/.test(template)) invalid(template, 'holds a line break or NUL');
  if (template.startsWith(RESERVED_EVENT_PREFIX))
    invalid(template, `begins with ${RESERVED_EVENT_PREFIX}, which is reserved`);
  const parts = [...template.matchAll(/\{([^{}]*)\}|[^{}]+|[{}]/g)].map(([piece, name]): EventTemplate => {
    if (piece === '{' || piece === '}') invalid(template, 'has a brace that is not part of a {placeholder}');
    return name === undefined ? () => piece : placeholder(template, name, params);
  });
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  return (context) => parts.map((part) => part(context)).join('');
}

function placeholder(template: string, name: string, params: readonly string[]): EventTemplate {
  if (name === 'channel') return (context) => context.channel;
  if (name === 'subject') return (context) => context.subject;
  if (params.includes(name)) return (context) => context.params[name] ?? '';
  const header = HEADER_NAME.exec(name)?.[1];
  if (header !== undefined) return (context) => context.header(header) ?? '';
  const known = ['channel', 'subject', ...params, 'header.NAME'].map((known) => `{${known}}`).join(', ');
  return invalid(template, `names {${name}}; it may name ${known}`);
}

function invalid(template: string, problem: string): never {
  throw new SidestreamError('TEMPLATE_INVALID', `event ${JSON.stringify(template)} ${problem}`, {
    fields: { kind: 'event', template },
  });
}
