import { readFileSync } from 'node:fs';
import { exposePrimary } from '../../src/exposition/exposition.ts';

/** Pages with tables of metrics: name, type, labels if it has such a column, meaning. */
const PAGES = ['metrics.md', 'workers.md'];
/** Put on by Prometheus or its targets' discovery, and on every sample. */
const OF_TARGETS = ['namespace', 'job', 'instance'];
const TYPES = ['counter', 'gauge', 'histogram', 'summary'];

interface Family {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
}

/** Every metric that the documentation names, as its samples are called, and the labels that these may have. */
export async function documentedMetrics(): Promise<Map<string, ReadonlySet<string>>> {
  const families = [...PAGES.flatMap(rowsOf), ...(await ofTheProcess()), BUILD_INFO];
  const byWorker = new Set(shownByWorker());
  const samples = families.flatMap(samplesOf).map(({ name, labels }): [string, ReadonlySet<string>] => {
    const worker = byWorker.has(name) || /_(process|nodejs)_/.test(name) ? ['worker'] : [];
    return [name, new Set([...OF_TARGETS, ...labels, ...worker])];
  });
  return new Map(samples);
}

const BUILD_INFO: Family = {
  name: 'sidestream_build_info',
  type: 'gauge',
  labels: ['version', 'node', 'uws'],
};

function samplesOf({ name, type, labels }: Family): Omit<Family, 'type'>[] {
  if (type !== 'histogram') return [{ name, labels }];
  return [
    { name: `${name}_bucket`, labels: [...labels, 'le'] },
    { name: `${name}_sum`, labels },
    { name: `${name}_count`, labels },
  ];
}

function rowsOf(page: string): Family[] {
  const text = readFileSync(new URL(`../../docs/${page}`, import.meta.url), 'utf8');
  return [...text.matchAll(/^\| `(sidestream_\w+)` \| (\w+) \|(?: ((?:`\w+`(?:, )?)*) ?\|)?/gm)]
    .map(([, name = '', type = '', labels = '']) => ({
      name,
      type,
      labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label),
    }))
    .filter(({ type }) => TYPES.includes(type));
}

/** prom-client's own. */
async function ofTheProcess(): Promise<Family[]> {
  const shown = await exposePrimary({ apiRefusals: () => [] }).getMetricsAsJSON();
  return shown
    .filter(({ name }) => /_(process|nodejs)_/.test(name))
    .map(({ name, type }) => ({ name, type: String(type), labels: ['kind', 'space', 'type', 'version'] }));
}

/** Those that docs/workers.md says to be shown by worker. */
function shownByWorker(): string[] {
  const text = readFileSync(new URL('../../docs/workers.md', import.meta.url), 'utf8');
  const row = text.split('\n').find((line) => /`sidestream_\w+` \| By label `worker`\. \|$/.test(line)) ?? '';
  return [...row.matchAll(/`(sidestream_\w+)`/g)].map(([, name = '']) => name);
}
