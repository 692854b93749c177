import { Timer } from '../clock.ts';
import type { BatchConfig } from '../config/schema.ts';
import { isJson } from '../routing/json.ts';
import { copyOf } from './held.ts';
import type { Publication } from './source.ts';
import { MAX_HELD_BYTES, type Passing, type Stage, type StageOptions } from './stage.ts';

/** Publications of one batch. */
const MAX_PUBLICATIONS = 1000;
/** Name of the event that holds several. */
export const BATCH_EVENT = 'batch';

/** Gathers publications for a time, from the first on, and passes them on together. */
export class Batcher implements Stage {
  readonly #config: BatchConfig;
  readonly #options: StageOptions;
  readonly #timer = new Timer({ onDue: () => this.release() });
  #held: Passing[] = [];
  #bytes = 0;

  constructor(config: BatchConfig, options: StageOptions) {
    this.#config = config;
    this.#options = options;
  }

  get heldAt(): number {
    return this.#held[0]?.offset ?? Infinity;
  }

  push(passing: Passing): void {
    if (this.#held.length === 0) this.#options.wheel.schedule(this.#timer, this.#config.windowMs);
    const copy = copyOf(passing);
    this.#held.push(copy);
    this.#bytes += copy.publication.data.length;
    if (this.#held.length >= MAX_PUBLICATIONS || this.#bytes >= MAX_HELD_BYTES) this.release();
  }

  release(): void {
    const { wheel, metrics, next } = this.#options;
    const held = this.#held;
    const last = held.at(-1);
    if (last === undefined) return;
    wheel.cancel(this.#timer);
    this.#held = [];
    this.#bytes = 0;
    if (this.#config.as === 'events') {
      for (const passing of held) next(passing);
      return;
    }
    // The hub counts one.
    metrics.publications += held.length - 1;
    next({ publication: joined(held.map(({ publication }) => publication)), offset: last.offset });
  }
}

/** One publication with all of them, worth replaying as long as any of them is, and as urgent as the most urgent. */
function joined(all: readonly Publication[]): Publication {
  const timeMs = all.at(-1)?.timeMs;
  const ttlMs = Math.max(...all.map((one) => (one.ttlMs ?? Infinity) - ((timeMs ?? 0) - (one.timeMs ?? 0))));
  const priority = ([2, 1] as const).find((level) => all.some((one) => one.priority === level));
  return {
    event: BATCH_EVENT,
    data: `[${all.map(item).join(',')}]`,
    ...(timeMs !== undefined && { timeMs }),
    ...(ttlMs < Infinity && { ttlMs: Math.max(0, ttlMs) }),
    ...(priority !== undefined && { priority }),
  };
}

function item({ event = 'message', data }: Publication): string {
  const text = typeof data === 'string' ? data : Buffer.from(data).toString('utf8');
  return `{"event":${JSON.stringify(event)},"data":${isJson(text) ? text : JSON.stringify(text)}}`;
}
