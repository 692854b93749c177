import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import type { RouteConfig } from '../../src/config/schema.ts';
import { copyOf } from '../../src/hub/held.ts';
import type { Publication } from '../../src/hub/source.ts';
import { RouteMetrics } from '../../src/metrics.ts';
import { Router } from '../../src/routing/router.ts';
import { Duplicates } from '../../src/sources/duplicates.ts';
import { toPublication } from '../../src/sources/publication.ts';
import { ManualClock } from '../support/clock.ts';
import { routeConfig } from '../support/route.ts';

const MIB = 1024 * 1024;
const COUNT = 40;
const REDACTED = [{ kind: 'pointer', pointer: ['fill'], replacement: '#' }] as const;

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

/** Maps messages of half a MiB each, keeps of every publication what `keep` gives, and gives what that takes, in bytes. */
function kept(policy: Partial<RouteConfig>, keep: (publication: Publication) => unknown): number {
  const config = routeConfig({ channel: 'a', subject: 'a', ...policy });
  const destination = new Router({ a: config }).resolve('a') ?? expect.fail('no such channel');
  const metrics = new RouteMetrics();
  const remembered: unknown[] = [];
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < COUNT; i += 1) {
    const name = `name-of-more-than-thirteen-characters-${i}`;
    const data = Buffer.from(JSON.stringify({ name, number: 1e15 + i, fill: 'x'.repeat(MIB / 2) }));
    const publication = toPublication(destination, { subject: 'a', data }, metrics, { timeMs: 0 });
    remembered.push(keep(publication ?? expect.fail('it may be seen')));
  }
  collect();
  const bytes = process.memoryUsage().heapUsed - before;
  expect(remembered).toHaveLength(COUNT);
  return bytes;
}

const name = ['name'];
const duplicates = new Duplicates(new ManualClock());

it.each<[string, Partial<RouteConfig>, (publication: Publication) => unknown]>([
  ['an id', { map: { id: name } }, ({ id }) => duplicates.has('a', id ?? expect.fail('it has none'))],
  [
    'a key',
    { throttleMs: 1, latestBy: { pointer: ['number'] } },
    ({ key }) => key ?? expect.fail('it has none'),
  ],
  [
    'a name of an event that is held back',
    { map: { event: name } },
    (publication) => copyOf({ publication, offset: 1 }).publication.event ?? expect.fail('it has none'),
  ],
  [
    'what is left of a payload that is held back',
    { redact: REDACTED, envelope: true, map: { id: name } },
    (publication) => copyOf({ publication, offset: 1 }),
  ],
])('%s that is remembered does not keep its payload alive', (_, policy, keep) => {
  expect(kept(policy, keep)).toBeLessThan((COUNT * MIB) / 8);
});

it('ids of any length that publishers send take up no more than short ones', () => {
  const seen = new Duplicates(new ManualClock());
  const id = (i: number) => `${'x'.repeat(MIB / 8)}${i}`;
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < COUNT; i += 1) seen.has('a', id(i));
  collect();
  expect(process.memoryUsage().heapUsed - before).toBeLessThan((COUNT * MIB) / 32);
  expect([seen.has('a', id(0)), seen.has('a', id(COUNT))]).toEqual([true, false]);
});

it('keys of any length are kept short, and those that differ stay apart', () => {
  const config = routeConfig({ channel: 'a', subject: 'a', throttleMs: 1, latestBy: { pointer: name } });
  const destination = new Router({ a: config }).resolve('a') ?? expect.fail('no such channel');
  const keyOf = (text: string) =>
    toPublication(
      destination,
      { subject: 'a', data: Buffer.from(JSON.stringify({ name: text })) },
      new RouteMetrics(),
      { timeMs: 0 },
    )?.key;
  const long = 'x'.repeat(1000);
  expect(keyOf(long)?.length).toBeLessThan(100);
  expect(keyOf(long)).toBe(keyOf(long));
  expect(keyOf(`${long}1`)).not.toBe(keyOf(`${long}2`));
});
