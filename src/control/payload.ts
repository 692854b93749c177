import { ControlError } from './operation.ts';

/** Longest payload, in bytes, where the operation says no other. */
export const MAX_BYTES = 16 * 1024;
const UTF8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads the one JSON object that a payload is to be. Nothing of `payload` is kept.
 * @throws ControlError CONTROL_TOO_LARGE, CONTROL_MALFORMED
 */
export function readObject(payload: Uint8Array, maxBytes = MAX_BYTES): Readonly<Record<string, unknown>> {
  if (payload.length > maxBytes)
    throw new ControlError('CONTROL_TOO_LARGE', `${payload.length} bytes; at most ${maxBytes} are read`);
  const value = parse(payload);
  if (isObject(value)) return value;
  throw new ControlError('CONTROL_MALFORMED', `the payload must be a JSON object, not ${typeName(value)}`);
}

function parse(payload: Uint8Array): unknown {
  try {
    return JSON.parse(UTF8.decode(payload));
  } catch {
    // TypeError: not UTF-8. SyntaxError: not JSON; its message quotes what was sent.
    throw new ControlError('CONTROL_MALFORMED', 'the payload is not JSON in UTF-8');
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What a value is, without the value. */
export function typeName(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (value === '') return 'an empty one';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
