import type { Family, Sample } from '../metrics.ts';

/** The metrics of one process; `worker` is the label of what cannot be added up. */
export interface Part {
  readonly worker: string;
  readonly families: readonly Family[];
  /** Whether it is about to leave: its place has another worker, whose values are the ones to show by worker. */
  readonly isLeaving: boolean;
}

/** Each worker has its own: a sum says nothing. */
const BY_WORKER =
  /^sidestream_((process|nodejs)_.*|connections_peak|nats_connected|stream_followed|stream_offset|stream_pending)$/;
/** All hold or hear the same: a sum would count one thing several times. */
const GREATEST = new Set([
  'sidestream_connections_limit',
  'sidestream_memory_limit_bytes',
  // One that was drained alone explains why not all accept.
  'sidestream_draining',
  'sidestream_revocations',
  'sidestream_cluster_instances',
  'sidestream_control_commands_total',
  'sidestream_control_channels',
  'sidestream_build_info',
]);
/** 1 only where it is so of all. */
const LEAST = new Set([
  'sidestream_accepting',
  'sidestream_revocations_persistent',
  'sidestream_tickets_shared',
  'sidestream_control_channels_persistent',
]);

/** By sample, what each place has: those in one place are added up, and then what all places have is combined. */
type Places = Map<
  string,
  { readonly family: Family; readonly sample: Sample; readonly values: Map<string, number> }
>;

/** The place of all, where no place has something of its own. */
const WHOLE = '';

/**
 * Makes one exposition out of several. What is counted is added up, with what workers that are gone had counted: a counter
 * that fell would be taken for a restart. Of what all hear alike that is so by place, and the greatest of them is shown.
 */
export class MergedMetrics {
  /** What workers that are gone had counted. */
  readonly #retired: Places = new Map();
  /** The routes that there are; absent: those of the start. */
  #routes: ReadonlySet<string> | undefined;

  /** Keeps what a worker that is gone had counted. */
  retire({ worker, families }: Pick<Part, 'worker' | 'families'>): void {
    for (const family of families) {
      if (!isKept(family)) continue;
      for (const sample of family.samples)
        if (this.#isOfRoutes(sample)) add(this.#retired, family, sample, placeOf(family, worker));
    }
  }

  /** There are these routes now: what those that are gone had counted of another is let go of, as everybody does. */
  keepRoutes(names: ReadonlySet<string>): void {
    this.#routes = names;
    for (const [key, { sample }] of this.#retired) if (!this.#isOfRoutes(sample)) this.#retired.delete(key);
  }

  #isOfRoutes({ labels: { route } }: Sample): boolean {
    return route === undefined || this.#routes === undefined || this.#routes.has(route);
  }

  merge(parts: readonly Part[]): readonly Family[] {
    const places: Places = new Map();
    for (const part of parts) for (const found of samplesOf(part)) add(places, ...found);
    for (const { family, sample, values } of this.#retired.values())
      for (const [place, value] of values) add(places, family, { ...sample, value }, place);
    const merged = new Map<string, { family: Family; samples: Sample[] }>();
    for (const { family, sample, values } of places.values()) {
      const into = merged.get(family.name) ?? { family, samples: [] };
      merged.set(family.name, into);
      into.samples.push({ ...sample, value: combine(family.name, [...values.values()]) });
    }
    return [...merged.values()].map(({ family, samples }) => ({ ...family, samples }));
  }
}

function add(places: Places, family: Family, sample: Sample, place: string): void {
  const key = keyOf(sample);
  const { values } = places.get(key) ?? { values: new Map<string, number>() };
  places.set(key, { family, sample, values });
  values.set(place, (values.get(place) ?? 0) + sample.value);
}

function* samplesOf({ worker, families, isLeaving }: Part): Generator<[Family, Sample, string]> {
  for (const family of families) {
    const isByWorker = BY_WORKER.test(family.name);
    if (isLeaving && !isAdded(family) && !isKept(family)) continue;
    for (const sample of family.samples) {
      const labelled = isByWorker ? { ...sample, labels: { worker, ...sample.labels } } : sample;
      yield [family, labelled, placeOf(family, worker)];
    }
  }
}

function isAdded({ name }: Family): boolean {
  return !BY_WORKER.test(name) && !GREATEST.has(name) && !LEAST.has(name);
}

/** What must not fall when a worker is gone. */
function isKept({ name, type }: Family): boolean {
  return type !== 'gauge' && !BY_WORKER.test(name);
}

function placeOf(family: Family, worker: string): string {
  return isAdded(family) ? WHOLE : worker;
}

function combine(name: string, values: readonly number[]): number {
  return LEAST.has(name) ? Math.min(...values) : Math.max(...values);
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
