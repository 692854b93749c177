import type { Revocation, RevocationTarget } from '../../auth/revocations.ts';
import type { Clock } from '../../clock.ts';
import { ControlError, type Served, spread } from '../operation.ts';
import { type RevokeInput, revoke, revokePart } from '../operations/revoke.ts';
import type { Revoker } from './revoker.ts';
import { readTime } from './time.ts';

export interface RevokeDeps {
  /** Absent where no tokens are checked. */
  readonly revoker: Pick<Revoker, 'revoke'> | undefined;
  /** How long a revocation is remembered that does not say when it ends, in milliseconds. */
  readonly revocationTtlMs: number;
  readonly clock: Clock;
}

/** Longest that a revocation may be said to last. A time in NATS is at most 292 years. */
const MAX_AHEAD_MS = 100 * 365.25 * 86_400_000;

export function revokeOperations({ revoker, revocationTtlMs, clock }: RevokeDeps): Served[] {
  return [
    spread(revoke, {
      part: revokePart,
      // By the clock of this instance: others may differ.
      check: (input) => void toRevocation(input, { nowMs: clock.wall(), revocationTtlMs }),
      each(input) {
        const revocation = toRevocation(input, { nowMs: clock.wall(), revocationTtlMs });
        if (revoker === undefined)
          throw new ControlError('CONTROL_UNAVAILABLE', 'no tokens are checked here: see auth in the config');
        return revoker.revoke(revocation);
      },
      merge: (parts) => ({
        closed: parts.reduce((sum, { part }) => sum + part.closed, 0),
        // What holds on every instance. They are in one form, whose order is that of time.
        until: parts.map(({ part }) => part.until).sort()[0] ?? '',
        persisted: parts.every(({ part }) => part.persisted),
      }),
    }),
  ];
}

export interface RevocationBounds {
  /** Milliseconds since the Unix epoch. */
  readonly nowMs: number;
  readonly revocationTtlMs: number;
}

/** @throws ControlError CONTROL_INVALID */
export function toRevocation(input: RevokeInput, { nowMs, revocationTtlMs }: RevocationBounds): Revocation {
  const untilMs = readTime(input.expires) ?? nowMs + revocationTtlMs;
  if (untilMs <= nowMs) throw invalid('expires is in the past: there is nothing to refuse any more');
  if (untilMs > nowMs + MAX_AHEAD_MS) throw invalid('expires is more than a hundred years ahead');
  return { target: toTarget(input, nowMs), untilMs };
}

function toTarget({ user, tokenId, issuedBefore }: RevokeInput, nowMs: number): RevocationTarget {
  if (tokenId !== undefined) return { tokenId };
  const issuedBeforeMs = readTime(issuedBefore) ?? endOfSecond(nowMs);
  return user === undefined ? { issuedBeforeMs } : { user, issuedBeforeMs };
}

// `iat` is mostly in whole seconds, so this is as exact as now; and instances, which each have their own now, mostly agree.
function endOfSecond(ms: number): number {
  return Math.floor(ms / 1000) * 1000 + 999;
}

function invalid(message: string): ControlError {
  return new ControlError('CONTROL_INVALID', message);
}
