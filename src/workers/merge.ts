import type { Family, Sample } from '../metrics.ts';

/** The metrics of one process; `worker` is the label of what cannot be added up. */
export interface Part {
  readonly worker: string;
  readonly families: readonly Family[];
  /** Whether it is about to leave: its place has another worker, whose values are the ones to show by worker. */
  readonly isLeaving: boolean;
}

/** Each worker has its own: a sum says nothing. */
const BY_WORKER = /^sidestream_((process|nodejs)_.*|nats_connected|stream_followed|stream_offset)$/;
/** All hold or hear the same: a sum would count one thing several times. */
const GREATEST = new Set([
  'sidestream_revocations',
  'sidestream_control_commands_total',
  'sidestream_build_info',
]);
/** 1 only where it is so of all. */
const LEAST = new Set([
  'sidestream_draining',
  'sidestream_revocations_persistent',
  'sidestream_tickets_shared',
]);

/**
 * Makes one exposition out of several. What is counted is added up, with what workers that are gone had counted: a counter
 * that fell would be taken for a restart.
 */
export class MergedMetrics {
  /** By sample, of workers that are gone. */
  readonly #retired = new Map<string, { readonly family: Family; readonly sample: Sample }>();

  /** Keeps what a worker that is gone had counted. */
  retire(families: readonly Family[]): void {
    for (const family of families) {
      if (!isAdded(family) || family.type === 'gauge') continue;
      for (const sample of family.samples) {
        const key = keyOf(sample);
        const value = sample.value + (this.#retired.get(key)?.sample.value ?? 0);
        this.#retired.set(key, { family, sample: { ...sample, value } });
      }
    }
  }

  merge(parts: readonly Part[]): readonly Family[] {
    const merged = new Map<string, { family: Family; samples: Map<string, Sample> }>();
    const add = (family: Family, sample: Sample) => {
      const into = merged.get(family.name) ?? { family, samples: new Map<string, Sample>() };
      merged.set(family.name, into);
      const key = keyOf(sample);
      const before = into.samples.get(key);
      const value = before === undefined ? sample.value : combine(family.name, before.value, sample.value);
      into.samples.set(key, { ...sample, value });
    };
    for (const part of parts) for (const [family, sample] of samplesOf(part)) add(family, sample);
    for (const { family, sample } of this.#retired.values()) add(family, sample);
    return [...merged.values()].map(({ family, samples }) => ({ ...family, samples: [...samples.values()] }));
  }
}

function* samplesOf({ worker, families, isLeaving }: Part): Generator<[Family, Sample]> {
  for (const family of families) {
    const isByWorker = BY_WORKER.test(family.name);
    if (isLeaving && !isAdded(family)) continue;
    for (const sample of family.samples)
      yield [family, isByWorker ? { ...sample, labels: { worker, ...sample.labels } } : sample];
  }
}

function isAdded({ name }: Family): boolean {
  return !BY_WORKER.test(name) && !GREATEST.has(name) && !LEAST.has(name);
}

function combine(name: string, a: number, b: number): number {
  if (GREATEST.has(name)) return Math.max(a, b);
  return LEAST.has(name) ? Math.min(a, b) : a + b;
}

function keyOf({ name, labels }: Sample): string {
  return `${name}${JSON.stringify(Object.entries(labels).sort())}`;
}

/** Prometheus' text format, version 0.0.4. */
export function toText(families: readonly Family[]): string {
  return families
    .map(({ name, help, type, samples }) => {
      const about = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
      return [`# HELP ${name} ${about}`, `# TYPE ${name} ${type}`, ...samples.map(lineOf), ''].join('\n');
    })
    .join('\n');
}

export const TEXT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

function lineOf({ name, labels, value }: Sample): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
  const number = Number.isFinite(value) || Number.isNaN(value) ? `${value}` : value > 0 ? '+Inf' : '-Inf';
  return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${number}`;
}

function escapeLabel(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}
