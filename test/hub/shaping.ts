import { type Timer, TimerWheel } from '../../src/clock.ts';
import type { RouteConfig } from '../../src/config/schema.ts';
import { createShaper } from '../../src/hub/shaper.ts';
import type { Publication } from '../../src/hub/source.ts';
import type { Passing } from '../../src/hub/stage.ts';
import { RouteMetrics } from '../../src/metrics.ts';
import { ManualClock } from '../support/clock.ts';
import { routeConfig } from '../support/route.ts';

/** What was passed on, and when. */
export interface Passed extends Passing {
  readonly atMs: number;
}

/** Knows what is scheduled on it: a timer that is forgotten keeps its channel alive until it is due. */
class WatchedWheel extends TimerWheel {
  readonly scheduled = new Set<Timer>();

  override schedule(timer: Timer, delayMs: number): void {
    super.schedule(timer, delayMs);
    this.scheduled.add(timer);
  }

  override cancel(timer: Timer): void {
    super.cancel(timer);
    this.scheduled.delete(timer);
  }
}

/** A shaper of a route with this policy, on a clock that is moved by hand. */
export function setUpShaper(policy: Partial<RouteConfig>) {
  const clock = new ManualClock();
  const wheel = new WatchedWheel(clock);
  const metrics = new RouteMetrics();
  const passed: Passed[] = [];
  const next = (passing: Passing) => {
    metrics.publications += 1;
    passed.push({ ...passing, atMs: clock.now() });
  };
  const config = routeConfig({ channel: 'a', subject: 'a', ...policy });
  const shaper = createShaper(config, { clock, wheel, metrics, next });
  let offset = 0;
  return {
    clock,
    wheel,
    metrics,
    shaper,
    passed,
    /** Publishes at the next offset; by default its data is its key, and its offset. */
    push(key: string | undefined, fields: Partial<Publication> = {}): number {
      offset += 1;
      const data = `${key ?? ''}${offset}`;
      shaper.publish({ event: undefined, data, ...(key !== undefined && { key }), ...fields }, offset);
      return offset;
    },
    /** Lets time pass as the process does: the wheel advances every tick. */
    pass(ms: number): void {
      for (let left = ms; left > 0; left -= 50) {
        clock.advance(Math.min(50, left));
        wheel.advance();
      }
    },
    /** Data of what was passed on so far. */
    data: () => passed.map(({ publication: { data } }) => Buffer.from(data).toString()),
  };
}
