import { type Clock, jitter } from '../clock.ts';
import type { Config } from '../config/schema.ts';
import type { Connection } from './connection.ts';

export interface DrainOptions {
  readonly clock: Clock;
  readonly retryMs: Config['sse']['retryMs'];
  /** All streams have ended after this long, in good order or not. */
  readonly timeoutMs: number;
  readonly reconnectRatePerSecond: number;
}

/** What may differ from one drain to another. */
export interface DrainChoices {
  /** Whether the port is given up at once, for others who listen on it. Else who comes is told to come back. */
  readonly closesPort?: boolean;
  /** Default: the config's. */
  readonly reconnectRatePerSecond?: number;
}

/** How often closes are made; many small steps rather than one burst. */
const STEP_MS = 20;
/** Share of the time-out over which closes may be spread; the rest is for readers that are behind. */
const SPREAD_SHARE = 0.8;

/**
 * When to close the connection at `index` of `count`, and what `retry:` to give it, so that clients come back no
 * faster than the reconnect rate: closes are spread at that rate where the time-out allows, and where it does not,
 * later slots wait longer before they come back.
 */
export function drainSlot(
  index: number,
  count: number,
  { clock, retryMs, timeoutMs, reconnectRatePerSecond }: DrainOptions,
) {
  const returnMs = (index / reconnectRatePerSecond) * 1000;
  const spreadMs = Math.min(timeoutMs * SPREAD_SHARE, (count / reconnectRatePerSecond) * 1000);
  const closeMs = (index / count) * spreadMs;
  return {
    closeMs,
    retryMs: Math.round(jitter(clock, retryMs.min, retryMs.max) + Math.max(0, returnMs - closeMs)),
  };
}

/**
 * Ends every connection of `live`; resolves when none is left, nor of `ending`, which end by themselves: at the latest after
 * the time-out.
 */
export async function drainConnections(
  live: ReadonlySet<Connection>,
  options: DrainOptions,
  ending: ReadonlySet<Pick<Connection, 'abort'>> = new Set(),
): Promise<void> {
  const { clock, timeoutMs } = options;
  const startMs = clock.now();
  const waiting = shuffled([...live], clock);
  const count = waiting.length;
  let next = 0;
  await new Promise<void>((resolve) => {
    const timer = setInterval(step, STEP_MS);
    function step() {
      const elapsedMs = clock.now() - startMs;
      for (let connection = waiting[next]; connection !== undefined; connection = waiting[next]) {
        const slot = drainSlot(next, count, options);
        if (slot.closeMs > elapsedMs) break;
        connection.close('draining', slot.retryMs);
        next += 1;
      }
      if (elapsedMs >= timeoutMs) for (const connection of [...live, ...ending]) connection.abort('draining');
      if (live.size + ending.size > 0) return;
      clearInterval(timer);
      resolve();
    }
    step();
  });
}

// In order of arrival the oldest would always go first, and so would come back, all from one rollout, together.
function shuffled<T>(items: T[], clock: Clock): T[] {
  for (let i = items.length - 1; i > 0; i -= 1) {
    const j = Math.floor(clock.random() * (i + 1));
    const [a, b] = [items[i], items[j]];
    if (a !== undefined && b !== undefined) [items[i], items[j]] = [b, a];
  }
  return items;
}
