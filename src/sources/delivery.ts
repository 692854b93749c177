/** What a consumer's message tells of itself in its reply subject. ADR-15. */
export interface Delivery {
  /** Sequence in the stream. */
  readonly offset: number;
  /** Sequence among what this consumer delivered, from 1. */
  readonly count: number;
  /** When the stream stored it: nanoseconds since the Unix epoch, as text, since a number cannot hold them. */
  readonly timeNanos: string;
  /** What was left for this consumer as this message was sent. */
  readonly pending: number;
}

/** `undefined` where the reply is not that of a consumer's message. */
export function parseDelivery(reply: string): Delivery | undefined {
  const tokens = reply.split('.');
  if (tokens[0] !== '$JS' || tokens[1] !== 'ACK') return undefined;
  // $JS.ACK.<stream>.<consumer>.<times>.<offset>.<count>.<time>.<pending>, or with <domain>.<account> before the stream.
  const at = tokens.length === 9 ? 5 : 7;
  const timeNanos = tokens[at + 2];
  const [offset, count, pending] = [Number(tokens[at]), Number(tokens[at + 1]), Number(tokens[at + 3])];
  if (timeNanos === undefined || !Number.isSafeInteger(offset + count + pending)) return undefined;
  return { offset, count, timeNanos, pending };
}

/** Whole milliseconds, rounded down as `Date.parse` does: what is read back from the stream has the same time. */
export function nanosToMs(timeNanos: string): number {
  return Number(timeNanos.slice(0, -6));
}

/** The moment one nanosecond later, in RFC 3339. */
export function justAfter(timeNanos: string): string {
  const later = String(BigInt(timeNanos) + 1n);
  const seconds = new Date(nanosToMs(later)).toISOString().slice(0, 19);
  return `${seconds}.${later.slice(-9)}Z`;
}
