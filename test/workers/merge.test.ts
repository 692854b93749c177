import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { exposePrimary, familiesOf } from '../../src/exposition/exposition.ts';
import type { Family } from '../../src/metrics.ts';
import { Gathering } from '../../src/workers/gathering.ts';
import { MergedMetrics, type Part, toText } from '../../src/workers/merge.ts';

function family(name: string, type: string, ...samples: [Record<string, string>, number][]): Family {
  return { name, type, help: 'Help.', samples: samples.map(([labels, value]) => ({ name, labels, value })) };
}

function part(worker: string, ...families: Family[]): Part {
  return { worker, families, isLeaving: false };
}

/** Samples as `name{labels} value`. */
const shown = (families: readonly Family[]) =>
  toText(families)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

describe('the metrics of several workers', () => {
  it('are added up, by their labels', () => {
    const merged = new MergedMetrics().merge([
      part('1', family('sidestream_x_total', 'counter', [{ route: 'a' }, 1], [{ route: 'b' }, 2])),
      part('2', family('sidestream_x_total', 'counter', [{ route: 'b' }, 5], [{ route: 'c' }, 7])),
    ]);
    expect(shown(merged)).toEqual([
      'sidestream_x_total{route="a"} 1',
      'sidestream_x_total{route="b"} 7',
      'sidestream_x_total{route="c"} 7',
    ]);
  });

  it('of routes that are gone end, whoever had counted them, and begin anew where they come back', () => {
    const counted = (worker: string, route: string) =>
      part(worker, family('sidestream_x_total', 'counter', [{ route }, 3], [{ reason: 'slow' }, 1]));
    const merged = new MergedMetrics();
    merged.retire(counted('1', 'old'));
    expect(shown(merged.merge([]))).toEqual([
      'sidestream_x_total{route="old"} 3',
      'sidestream_x_total{reason="slow"} 1',
    ]);
    merged.keepRoutes(new Set(['new']));
    // It was about to leave when the config changed.
    merged.retire(counted('2', 'old'));
    expect(shown(merged.merge([]))).toEqual(['sidestream_x_total{reason="slow"} 2']);
    merged.keepRoutes(new Set(['new', 'old']));
    expect(shown(merged.merge([counted('3', 'old')]))).toEqual([
      'sidestream_x_total{route="old"} 3',
      'sidestream_x_total{reason="slow"} 3',
    ]);
  });

  it('are labelled by worker where a sum says nothing', () => {
    const merged = new MergedMetrics().merge([
      part('1', family('sidestream_nodejs_eventloop_lag_seconds', 'gauge', [{}, 0.1])),
      part('2', family('sidestream_nodejs_eventloop_lag_seconds', 'gauge', [{}, 0.2])),
    ]);
    expect(shown(merged)).toEqual([
      'sidestream_nodejs_eventloop_lag_seconds{worker="1"} 0.1',
      'sidestream_nodejs_eventloop_lag_seconds{worker="2"} 0.2',
    ]);
  });

  it.each([
    ['sidestream_revocations', 5],
    ['sidestream_control_commands_total', 5],
    ['sidestream_connections_limit', 5],
    ['sidestream_memory_limit_bytes', 5],
    ['sidestream_tickets_shared', 1],
    ['sidestream_accepting', 1],
    ['sidestream_pending_memory_limit_bytes', 6],
    ['sidestream_connections', 6],
  ])('of what all hear alike are no sum: %s', (name, value) => {
    const merged = new MergedMetrics().merge([
      part('1', family(name, 'gauge', [{}, 5])),
      part('2', family(name, 'gauge', [{}, 1])),
    ]);
    expect(shown(merged)).toEqual([`${name} ${value}`]);
  });

  it('never fall: what a worker had counted that is gone is still there, and what it held is not', () => {
    const merged = new MergedMetrics();
    const counted = (n: number) => [
      family('sidestream_x_total', 'counter', [{}, n]),
      family('sidestream_connections', 'gauge', [{}, n]),
    ];
    merged.retire(part('1', ...counted(3)));
    merged.retire(part('1', ...counted(4)));
    const all = merged.merge([part('1', ...counted(10))]);
    expect(shown(all)).toEqual(['sidestream_x_total 17', 'sidestream_connections 10']);
    expect(shown(merged.merge([]))).toEqual(['sidestream_x_total 7']);
  });

  it('never fall where the greatest is shown: what each place had counted goes on there', () => {
    const merged = new MergedMetrics();
    const heard = (n: number) => [
      family('sidestream_control_commands_total', 'counter', [{}, n]),
      family('sidestream_revocations', 'gauge', [{}, n]),
    ];
    const [first, second] = [part('1', ...heard(5)), part('2', ...heard(6))];
    const value = (...parts: Part[]) => shown(merged.merge(parts))[0];
    expect(value(first, second)).toBe('sidestream_control_commands_total 6');
    expect(value(first, { ...second, isLeaving: true }, part('2', ...heard(0)))).toBe(
      'sidestream_control_commands_total 6',
    );
    merged.retire(first);
    merged.retire(second);
    expect(shown(merged.merge([part('1', ...heard(0)), part('2', ...heard(1))]))).toEqual([
      'sidestream_control_commands_total 7',
      'sidestream_revocations 1',
    ]);
  });

  it('say that one drains where the control plane drained it alone, and so why not all accept', () => {
    const of = (isDraining: boolean) => [
      family('sidestream_accepting', 'gauge', [{}, Number(!isDraining)]),
      family('sidestream_draining', 'gauge', [{}, Number(isDraining)]),
    ];
    const merged = new MergedMetrics().merge([part('1', ...of(true)), part('2', ...of(false))]);
    expect(shown(merged)).toEqual(['sidestream_accepting 0', 'sidestream_draining 1']);
  });

  it('of a worker that leaves count, but it is not shown beside the one in its place', () => {
    const of = (n: number) => [
      family('sidestream_connections', 'gauge', [{}, n]),
      family('sidestream_nats_connected', 'gauge', [{}, 1]),
      family('sidestream_draining', 'gauge', [{}, n]),
    ];
    const merged = new MergedMetrics().merge([
      part('1', ...of(0)),
      { ...part('1', ...of(1)), isLeaving: true },
    ]);
    expect(shown(merged)).toEqual([
      'sidestream_connections 1',
      'sidestream_nats_connected{worker="1"} 1',
      'sidestream_draining 0',
    ]);
  });

  it('are written as Prometheus reads them', () => {
    const odd: Family = {
      ...family('x', 'gauge', [{ a: 'b"c\\d\ne' }, Number.POSITIVE_INFINITY]),
      help: 'a\nb',
    };
    expect(toText([odd])).toBe('# HELP x a\\nb\n# TYPE x gauge\nx{a="b\\"c\\\\d\\ne"} +Inf\n');
  });

  it('of the process are the same as prom-client writes', async () => {
    const registry = exposePrimary({ apiRefusals: () => [] });
    const [text, families] = [await registry.metrics(), await familiesOf(registry)];
    const names = (of: string) =>
      of.split('\n').flatMap((line) => /^[^#\s{]+(\{[^}]*\})?/.exec(line)?.[0] ?? []);
    expect(names(toText(families))).toEqual(names(text));
  });
});

describe('docs/workers.md', () => {
  it('names every metric of the primary process, with its type', async () => {
    const page = readFileSync(new URL('../../docs/workers.md', import.meta.url), 'utf8');
    const documented = [...page.matchAll(/^\| `(sidestream_\w+)` \| (counter|gauge) \|/gm)];
    const { text } = await new Gathering(new Set()).metrics();
    const ours = [...text.matchAll(/^# TYPE (sidestream_(?!process_|nodejs_)\w+) (\w+)$/gm)];
    const sorted = (found: RegExpExecArray[]) => found.map(([, name, type]) => `${name} ${type}`).sort();
    expect(sorted(documented)).toEqual(sorted(ours));
  });
});
