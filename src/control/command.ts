import type { Revocation, RevocationTarget } from '../auth/revocations.ts';
import { readTime } from './time.ts';

/** The last token of the subject that a command comes on. */
export const OPERATIONS = ['revoke', 'disconnect'] as const;
export type Operation = (typeof OPERATIONS)[number];

export type DisconnectTarget = { readonly user: string } | { readonly connection: string };

/** What a backend or an operator asks every instance to do. */
export type Command =
  | { readonly operation: 'revoke'; readonly revocation: Revocation }
  | { readonly operation: 'disconnect'; readonly target: DisconnectTarget };

/** Why a command was not acted on. Public: answers carry the code. docs/control.md lists the same; a test holds the two together. */
export const CONTROL_CODES = {
  CONTROL_TOO_LARGE: 'The payload is larger than 16 KiB.',
  CONTROL_MALFORMED: 'The payload is not one JSON object in UTF-8.',
  CONTROL_INVALID:
    'A field is unknown, missing, of the wrong type or out of range, or does not go with another.',
  CONTROL_FULL:
    'As many users and tokens are revoked as can be remembered. To revoke everybody, by `issuedBefore`, always works.',
  CONTROL_FAILED: 'The instance could not act; its log says why.',
} as const;

export type ControlCode = keyof typeof CONTROL_CODES;

/** A command that is not acted on. */
export class Refused {
  readonly code: ControlCode;
  /** For who sent it and for the log: names and types, never a value. */
  readonly message: string;

  constructor(code: ControlCode, message: string) {
    this.code = code;
    this.message = message;
  }
}

export interface CommandBounds {
  /** Milliseconds since the Unix epoch. */
  readonly nowMs: number;
  /** How long a revocation is remembered that does not say when it ends, in milliseconds. */
  readonly revocationTtlMs: number;
}

/** Longest that a revocation may be said to last. A time in NATS is at most 292 years. */
const MAX_AHEAD_MS = 100 * 365.25 * 86_400_000;
const MAX_BYTES = 16 * 1024;
/** Longest part of an unknown field's name that is said back, in UTF-16 units. */
const MAX_NAME_LENGTH = 40;
const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** The fields of each operation, and what they hold. */
const FIELDS: Readonly<Record<Operation, Readonly<Record<string, 'text' | 'time'>>>> = {
  revoke: { user: 'text', tokenId: 'text', issuedBefore: 'time', expires: 'time' },
  disconnect: { user: 'text', connection: 'text' },
};

/** Fields whose types are right; times in milliseconds since the Unix epoch. */
interface Fields {
  readonly user: string | undefined;
  readonly tokenId: string | undefined;
  readonly connection: string | undefined;
  readonly issuedBefore: number | undefined;
  readonly expires: number | undefined;
}

/** Reads one command. Nothing of `payload` is kept. */
export function readCommand(
  operation: Operation,
  payload: Uint8Array,
  bounds: CommandBounds,
): Command | Refused {
  const fields = readFields(operation, payload);
  if (fields instanceof Refused) return fields;
  return operation === 'revoke' ? toRevoke(fields, bounds) : toDisconnect(fields);
}

function readFields(operation: Operation, payload: Uint8Array): Fields | Refused {
  const object = readObject(payload);
  if (object instanceof Refused) return object;
  const texts = new Map<string, string>();
  const times = new Map<string, number>();
  for (const [name, value] of Object.entries(object)) {
    const read = readField(operation, name, value);
    if (read instanceof Refused) return read;
    if (typeof read === 'string') texts.set(name, read);
    else times.set(name, read);
  }
  return {
    user: texts.get('user'),
    tokenId: texts.get('tokenId'),
    connection: texts.get('connection'),
    issuedBefore: times.get('issuedBefore'),
    expires: times.get('expires'),
  };
}

function readObject(payload: Uint8Array): object | Refused {
  if (payload.length > MAX_BYTES)
    return new Refused('CONTROL_TOO_LARGE', `${payload.length} bytes; at most ${MAX_BYTES} are read`);
  let value: unknown;
  try {
    value = JSON.parse(UTF8.decode(payload));
  } catch {
    // TypeError: not UTF-8. SyntaxError: not JSON; its message quotes what was sent.
    return new Refused('CONTROL_MALFORMED', 'the payload is not JSON in UTF-8');
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  return new Refused('CONTROL_MALFORMED', `the payload must be a JSON object, not ${typeName(value)}`);
}

/** Text as it is, a time in milliseconds. */
function readField(operation: Operation, name: string, value: unknown): string | number | Refused {
  const fields = FIELDS[operation];
  switch (Object.hasOwn(fields, name) ? fields[name] : undefined) {
    case 'text':
      if (typeof value === 'string' && value !== '') return value;
      return invalid(`${name} must be a string that is not empty, not ${typeName(value)}`);
    case 'time':
      return (
        readTime(value) ??
        invalid(`${name} must be seconds (not milliseconds) since 1970, or a time of RFC 3339`)
      );
    default: {
      const known = Object.keys(fields).join(', ');
      return invalid(`unknown field ${JSON.stringify(name.slice(0, MAX_NAME_LENGTH))}; there are ${known}`);
    }
  }
}

function toRevoke(fields: Fields, { nowMs, revocationTtlMs }: CommandBounds): Command | Refused {
  const target = toRevocationTarget(fields, nowMs);
  if (target instanceof Refused) return target;
  const { expires: untilMs = nowMs + revocationTtlMs } = fields;
  if (untilMs <= nowMs) return invalid('expires is in the past: there is nothing to refuse any more');
  if (untilMs > nowMs + MAX_AHEAD_MS) return invalid('expires is more than a hundred years ahead');
  return { operation: 'revoke', revocation: { target, untilMs } };
}

function toRevocationTarget(
  { user, tokenId, issuedBefore }: Fields,
  nowMs: number,
): RevocationTarget | Refused {
  if (tokenId !== undefined) {
    return user === undefined && issuedBefore === undefined
      ? { tokenId }
      : invalid('tokenId names one token; neither user nor issuedBefore goes with it');
  }
  if (user !== undefined) return { user, issuedBeforeMs: issuedBefore ?? endOfSecond(nowMs) };
  if (issuedBefore !== undefined) return { issuedBeforeMs: issuedBefore };
  return invalid('one of user, tokenId and issuedBefore must say whose tokens');
}

function toDisconnect({ user, connection }: Fields): Command | Refused {
  if (user !== undefined && connection !== undefined)
    return invalid('user and connection do not go together');
  if (user !== undefined) return { operation: 'disconnect', target: { user } };
  if (connection !== undefined) return { operation: 'disconnect', target: { connection } };
  return invalid('user or connection must say whose streams');
}

// `iat` is mostly in whole seconds, so this is as exact as now; and instances, which each have their own now, mostly agree.
function endOfSecond(ms: number): number {
  return Math.floor(ms / 1000) * 1000 + 999;
}

function invalid(message: string): Refused {
  return new Refused('CONTROL_INVALID', message);
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (value === '') return 'an empty one';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
