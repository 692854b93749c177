import { Histogram } from 'prom-client';
import { LATENCY_BOUNDS_SECONDS, type LatencyHistogram } from '../metrics.ts';

/** Shows a {@link LatencyHistogram} to prom-client, whose own histogram costs a label look-up per observation. */
export class LatencyMetric extends Histogram {
  readonly #name: string;
  readonly #help: string;
  readonly #source: LatencyHistogram;

  constructor(name: string, help: string, source: LatencyHistogram) {
    super({ name, help, registers: [] });
    this.#name = name;
    this.#help = help;
    this.#source = source;
  }

  /** What the registry asks for when it makes text of it. */
  getForPromString() {
    return this.get();
  }

  override async get() {
    let cumulative = 0;
    const bounds: (number | '+Inf')[] = [...LATENCY_BOUNDS_SECONDS, '+Inf'];
    const buckets = bounds.map((le, index) => {
      cumulative += this.#source.counts[index] ?? 0;
      return { metricName: `${this.#name}_bucket`, labels: { le }, sharedLabels: {}, value: cumulative };
    });
    const sum = {
      metricName: `${this.#name}_sum`,
      labels: {},
      sharedLabels: {},
      value: this.#source.sumSeconds,
    };
    const count = { metricName: `${this.#name}_count`, labels: {}, sharedLabels: {}, value: cumulative };
    // The declared type is of an enum that is not there when it runs.
    const shown = { name: this.#name, help: this.#help, type: 'histogram', values: [...buckets, sum, count] };
    return shown as never;
  }
}
