import { ControlError } from '../operation.ts';
import type { PublishInput } from '../operations/publishing.ts';

/** What goes out on NATS for a message. */
export interface Payload {
  readonly bytes: Uint8Array;
  /** Headers that the ingest of every instance reads; DESIGN 2.5. */
  readonly fields: Readonly<Record<string, string>>;
}

/** RFC 4648 4, with its padding. */
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
/** Half of a surrogate pair, which UTF-8 cannot write: something else would arrive. */
const HALF = /\p{Surrogate}/u;
/** Largest duration that `Sse-Ttl` can hold in milliseconds: nine digits. */
const LONGEST_MS = 999_999_999;

/**
 * A message as it goes out.
 * @throws ControlError CONTROL_INVALID where `data` is no base64, or cannot be written as JSON; MESSAGE_TOO_LARGE over `maxBytes`
 */
export function payloadOf(input: PublishInput, maxBytes: number): Payload {
  const bytes = bytesOf(input);
  if (bytes.length > maxBytes)
    throw new ControlError('MESSAGE_TOO_LARGE', `${bytes.length} bytes; limits.event is ${maxBytes}`);
  return { bytes, fields: fieldsOf(input) };
}

function bytesOf({ data, binary }: PublishInput): Uint8Array {
  if (binary === true) {
    if (typeof data !== 'string' || !BASE64.test(data))
      throw new ControlError('CONTROL_INVALID', 'data must be base64 where binary is true');
    return Buffer.from(data, 'base64');
  }
  if (typeof data === 'string') {
    if (HALF.test(data)) throw new ControlError('CONTROL_INVALID', 'data has half of a surrogate pair');
    return Buffer.from(data);
  }
  try {
    return Buffer.from(JSON.stringify(data));
  } catch {
    // RangeError: the stack is at its end.
    throw new ControlError('CONTROL_INVALID', 'data is nested too deeply');
  }
}

function fieldsOf({ event, ttl, priority, id }: PublishInput): Readonly<Record<string, string>> {
  return {
    ...(event !== undefined && { 'Sse-Event': event }),
    ...(ttl !== undefined && { 'Sse-Ttl': typeof ttl === 'number' ? `${Math.min(ttl, LONGEST_MS)}ms` : ttl }),
    ...(priority !== undefined && { 'Sse-Priority': priority }),
    ...(id !== undefined && { 'Nats-Msg-Id': id }),
  };
}
