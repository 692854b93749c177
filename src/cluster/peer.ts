/** One instance, as the others know it. */
export interface Peer {
  /** Names it: a UUID, new with each process. */
  readonly instance: string;
  readonly host: string;
  /** Its number, where it is one of several workers. */
  readonly worker?: number;
  /** Of the software. */
  readonly version: string;
  /** By its own clock, in milliseconds since the Unix epoch. */
  readonly startedMs: number;
}

/** What a heartbeat brings. */
export interface Heartbeat {
  readonly peer: Peer;
  /** What parts of the instance add to it, by name; unchecked. */
  readonly attached: Readonly<Record<string, unknown>>;
}

/** Longest heartbeat that is sent or read, in bytes. */
export const MAX_HEARTBEAT_BYTES = 64 * 1024;
const INSTANCE = /^[A-Za-z0-9_-]{1,64}$/;
const MAX_TEXT_LENGTH = 255;
/** Control characters: what others say of themselves is logged. */
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/;

export function encodeHeartbeat({ peer, attached }: Heartbeat): string {
  return JSON.stringify({ ...peer, attached });
}

/** `undefined` where it is none. */
export function decodeHeartbeat(payload: Uint8Array): Heartbeat | undefined {
  const { instance, host, worker, version, startedMs, attached = {} } = decodeObject(payload) ?? {};
  if (!isInstance(instance) || !isText(host) || !isText(version)) return undefined;
  if (typeof startedMs !== 'number' || !(Math.abs(startedMs) <= MAX_TIME_MS)) return undefined;
  if (worker !== undefined && !(Number.isSafeInteger(worker) && Number(worker) > 0)) return undefined;
  if (!isObject(attached)) return undefined;
  const peer = {
    instance,
    host,
    version,
    startedMs,
    ...(worker !== undefined && { worker: Number(worker) }),
  };
  return { peer, attached };
}

/** The furthest time that a `Date` can hold: ECMA-262 21.4.1.1. */
const MAX_TIME_MS = 8.64e15;

/** One JSON object; `undefined` where it is something else. */
export function decodeObject(
  payload: Uint8Array,
  maxBytes = MAX_HEARTBEAT_BYTES,
): Readonly<Record<string, unknown>> | undefined {
  if (payload.length > maxBytes) return undefined;
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(payload));
    return isObject(value) ? value : undefined;
  } catch {
    // SyntaxError: it is none of ours.
    return undefined;
  }
}

export function isInstance(value: unknown): value is string {
  return typeof value === 'string' && INSTANCE.test(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT_LENGTH && !UNSAFE.test(value);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
