import { exposePrimary, familiesOf } from '../exposition/exposition.ts';
import type { Family, ReloadMetrics } from '../metrics.ts';
import { MergedMetrics, TEXT_TYPE, toText } from './merge.ts';
import type { WorkerProcess } from './worker-process.ts';

/** Shorter than the 10 s that Prometheus waits. */
const METRICS_TIMEOUT_MS = 2_000;
/** Shorter than the 1 s that Kubernetes' probes wait. */
const READINESS_TIMEOUT_MS = 800;
/** The primary process's own value of the label `worker`. */
const PRIMARY = 'primary';

/** A worker, as far as it is asked. */
export type Asked = Pick<WorkerProcess, 'number' | 'state' | 'families' | 'ask'>;

/** What the primary process tells of all workers on the ops port. */
export class Gathering {
  readonly #workers: ReadonlySet<Asked>;
  readonly #merged = new MergedMetrics();
  readonly #own: ReturnType<typeof exposePrimary>;
  #deaths = 0;
  #unanswered = 0;

  /** `workers` are all that live; the rest is what the primary process does itself: calls that it refused, by code, and what it read. */
  constructor(
    workers: ReadonlySet<Asked>,
    apiRefusals: () => Iterable<[string, number]> = () => [],
    reloads?: ReloadMetrics,
  ) {
    this.#workers = workers;
    this.#own = exposePrimary({ apiRefusals, reloads });
  }

  /** A worker is gone: what it counted stays. */
  gone({ number, families }: Asked, { hasDied }: { readonly hasDied: boolean }): void {
    this.#merged.retire({ worker: String(number), families });
    if (hasDied) this.#deaths += 1;
  }

  /** There are these routes now. */
  keepRoutes(names: Iterable<string>): void {
    this.#merged.keepRoutes(new Set(names));
  }

  /** The text of `/metrics`. One that does not answer is shown as it was. */
  async metrics(): Promise<{ readonly text: string; readonly contentType: string }> {
    const asked = [...this.#workers].filter(({ state }) => state !== 'starting');
    await Promise.all(asked.map((worker) => this.#refresh(worker)));
    // Those that went meanwhile are among the retired now.
    const there = asked.filter((worker) => this.#workers.has(worker));
    const taken = new Set(there.filter(({ state }) => state === 'listening').map(({ number }) => number));
    const parts = there.map(({ number, families, state }) => ({
      worker: String(number),
      families,
      // Where all drain nobody comes in their places: they are shown to the end.
      isLeaving: state !== 'listening' && taken.has(number),
    }));
    const primary = { worker: PRIMARY, families: await familiesOf(this.#own), isLeaving: false };
    const families = [...this.#merged.merge([...parts, primary]), ...this.#about()];
    return { text: toText(families), contentType: TEXT_TYPE };
  }

  /** Why no worker would let a stream in, or `undefined` where one would. */
  async unready(): Promise<string | undefined> {
    const listening = [...this.#workers].filter(({ state }) => state === 'listening');
    const answers = await Promise.all(
      listening.map((worker) => worker.ask('readiness', READINESS_TIMEOUT_MS)),
    );
    if (answers.some((answer) => answer !== undefined && answer.unready === undefined)) return undefined;
    return answers.find((answer) => answer?.unready !== undefined)?.unready ?? 'no worker answers';
  }

  async #refresh(worker: Asked): Promise<void> {
    const answer = await worker.ask('metrics', METRICS_TIMEOUT_MS);
    if (answer === undefined && worker.state !== 'gone') this.#unanswered += 1;
  }

  #about(): Family[] {
    const listening = [...this.#workers].filter(({ state }) => state === 'listening').length;
    return [
      single('sidestream_workers', 'gauge', 'Workers that listen now.', listening),
      single(
        'sidestream_worker_deaths_total',
        'counter',
        'Workers that died, and were replaced.',
        this.#deaths,
      ),
      single(
        'sidestream_worker_answers_missed_total',
        'counter',
        'Times a worker did not tell its metrics in time; the last it told were shown.',
        this.#unanswered,
      ),
    ];
  }
}

function single(name: string, type: string, help: string, value: number): Family {
  return { name, type, help, samples: [{ name, labels: {}, value }] };
}
