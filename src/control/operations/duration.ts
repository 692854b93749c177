import { z } from 'zod';
import { DURATION_UNITS, durationMs } from '../../duration.ts';

const FORM = 'must be a duration like 15m, or milliseconds';

/** A duration like `15m`, as the ingest reads it from `Sse-Ttl` too. */
const text = z.string().regex(/^[0-9]{1,9}(ms|s|m|h|d)$/, { error: FORM, abort: true });

export interface Bounds {
  readonly minMs: number;
  readonly maxMs: number;
}

/** A duration like `15m`, or milliseconds; the bounds are of whole seconds and whole days. */
export function duration({ minMs, maxMs }: Bounds) {
  const bounds = `must be from ${minMs / DURATION_UNITS.s}s to ${maxMs / DURATION_UNITS.d}d`;
  const isWithin = (given: string) => toMs(given) >= minMs && toMs(given) <= maxMs;
  return z.union([text.refine(isWithin, { message: bounds }), z.int().min(minMs).max(maxMs)], FORM);
}

/** The same, of which only a number is bounded. */
export function longDuration(maxMs: number) {
  return z.union([text, z.int().min(0).max(maxMs)], FORM);
}

/** What {@link duration} let pass, in milliseconds. */
export function toMs(given: string | number): number {
  return typeof given === 'number' ? given : (durationMs(given) ?? Number.NaN);
}
