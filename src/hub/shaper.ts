import type { RouteConfig } from '../config/schema.ts';
import { Batcher } from './batcher.ts';
import { RateLimiter } from './rate-limiter.ts';
import type { Publication } from './source.ts';
import type { Stage, StageOptions } from './stage.ts';
import { Throttler } from './throttler.ts';

/**
 * What a route does to the pace of a channel, before anybody is given anything: rate limit, then throttle, then batch. Once
 * per channel, so that all its readers see the same, and a cursor means the same to all.
 */
export class Shaper {
  readonly #first: Stage;
  /** In order. */
  readonly #stages: readonly Stage[];

  constructor(first: Stage, others: readonly Stage[]) {
    this.#first = first;
    this.#stages = [first, ...others];
  }

  /** Nothing at or behind it was passed on, so no cursor may be. Infinity where nothing with an offset is held back. */
  get heldAt(): number {
    return Math.min(...this.#stages.map(({ heldAt }) => heldAt));
  }

  publish(publication: Publication, offset: number | undefined): void {
    this.#first.push({ publication, offset });
  }

  /** Passes on at once what is held back. Nothing is scheduled then. */
  release(): void {
    for (const stage of this.#stages) stage.release();
  }
}

/** Whether a route does anything to the pace of its channels. */
export function isShaped({ rateLimit, throttleMs, batch }: RouteConfig): boolean {
  return rateLimit !== undefined || throttleMs > 0 || batch !== undefined;
}

/**
 * For a route that is shaped. `options.next` gets what is passed on, in order of offset.
 * @throws TypeError where it is not
 */
export function createShaper({ rateLimit, throttleMs, batch }: RouteConfig, options: StageOptions): Shaper {
  const stages: Stage[] = [];
  let { next } = options;
  const add = (stage: Stage) => {
    stages.unshift(stage);
    next = (passing) => stage.push(passing);
  };
  if (batch !== undefined) add(new Batcher(batch, { ...options, next }));
  if (throttleMs > 0) add(new Throttler(throttleMs, { ...options, next }));
  if (rateLimit !== undefined) add(new RateLimiter(rateLimit, { ...options, next }));
  const [first, ...others] = stages;
  if (first === undefined) throw new TypeError('the route is not shaped');
  return new Shaper(first, others);
}
