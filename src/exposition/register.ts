import { Counter, Gauge, type Registry } from 'prom-client';

/** Registers metrics that are read when they are scraped. */
export class Exposition {
  readonly #registers: Registry[];

  constructor(registry: Registry) {
    this.#registers = [registry];
  }

  gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: this.#registers,
      collect() {
        this.set(read());
      },
    });
  }

  gauges(name: string, help: string, label: string, read: () => Iterable<[string, number]>): void {
    new Gauge({
      name,
      help,
      labelNames: [label],
      registers: this.#registers,
      collect() {
        this.reset();
        for (const [value, amount] of read()) this.set({ [label]: value }, amount);
      },
    });
  }

  counter(name: string, help: string, read: () => number): void {
    this.counts(name, help, [], () => [[{}, read()]]);
  }

  counts<L extends string>(
    name: string,
    help: string,
    labelNames: L[],
    read: () => Iterable<[Record<L, string>, number]>,
  ): void {
    new Counter({
      name,
      help,
      labelNames,
      registers: this.#registers,
      collect() {
        this.reset();
        for (const [labels, value] of read()) this.inc(labels, value);
      },
    });
  }
}

/**
 * Counts by reason, as they are shown. The reasons that are `known` are shown at 0 from the start: `increase()` does not see
 * the first event of a series that begins with it.
 */
export function byReason(
  counted: ReadonlyMap<string, number>,
  known: readonly string[] = [],
): [{ reason: string }, number][] {
  const shown = new Map([...known.map((reason): [string, number] => [reason, 0]), ...counted]);
  return [...shown].map(([reason, n]) => [{ reason }, n]);
}
