import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeChannels, mergeConnections, startingAt } from '../../src/control/reading/pages.ts';

const INSTANCES = ['b', 'c', 'a'] as const;

/** What each instance holds of some channels: subscribers by name. */
const held = fc.array(
  fc.dictionary(fc.stringMatching(/^[a-e]{1,3}$/), fc.integer({ min: 0, max: 3 }), { maxKeys: 12 }),
  { minLength: 1, maxLength: 3 },
);

function channelPart(channels: Record<string, number>, after: string, limit: number, active?: boolean) {
  const names = Object.keys(channels)
    .filter((name) => name > after && (active !== true || (channels[name] ?? 0) > 0))
    .sort();
  const list = names
    .slice(0, limit)
    .map((channel) => ({ channel, route: 'r', subscribers: channels[channel] ?? 0 }));
  return { list, more: names.length > limit };
}

describe('channels of several instances, page by page', () => {
  it('are each told once, in order, with all that are on them', () => {
    fc.assert(
      fc.property(
        held,
        fc.integer({ min: 1, max: 5 }),
        fc.constantFrom(true, false, undefined),
        (instances, limit, active) => {
          const sums = new Map<string, number>();
          for (const channels of instances)
            for (const [name, count] of Object.entries(channels))
              sums.set(name, (sums.get(name) ?? 0) + count);
          const wanted = [...sums].filter(([, count]) => active === undefined || count > 0 === active).sort();
          const found: [string, number][] = [];
          let after: string | undefined = '';
          for (let pages = 0; after !== undefined; pages += 1) {
            const parts = instances.map((channels, i) => ({
              instance: INSTANCES[i] ?? '',
              part: channelPart(channels, after ?? '', limit, active),
            }));
            const page = mergeChannels(parts, { active, limit });
            expect(page.list.length).toBeLessThanOrEqual(limit);
            found.push(
              ...page.list.map(({ channel, subscribers }): [string, number] => [channel, subscribers]),
            );
            after = page.next;
            expect(pages, 'it comes to an end').toBeLessThan(100);
          }
          expect(found).toEqual(wanted);
        },
      ),
    );
  });
});

const stream = (connection: string, ordinal: number) => ({
  connection,
  ordinal,
  transport: 'sse' as const,
  channels: ['x'],
  opened: '2026-01-01T00:00:00.000Z',
  waitingBytes: 0,
});

describe('connections of several instances, page by page', () => {
  it('are each told once, by instance and age, also where bytes run out before the limit', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uniqueArray(fc.integer({ min: 1, max: 50 }), { maxLength: 12 }), {
          minLength: 1,
          maxLength: 3,
        }),
        fc.integer({ min: 1, max: 5 }),
        fc.constantFrom(1, 300, 100_000),
        (instances, limit, maxBytes) => {
          const all = instances.map((ordinals, i) => ({
            instance: INSTANCES[i] ?? '',
            ordinals: ordinals.sort((a, b) => a - b),
          }));
          const found: string[] = [];
          let after: string | undefined;
          do {
            const parts = all.map(({ instance, ordinals }) => {
              const start = startingAt(after, instance);
              const left = start === undefined ? [] : ordinals.filter((ordinal) => ordinal > start);
              const list = left.slice(0, limit).map((ordinal) => stream(`${instance}${ordinal}`, ordinal));
              return { instance, part: { list, more: left.length > limit } };
            });
            const page = mergeConnections(parts, { limit, maxBytes });
            expect(page.list.length).toBeLessThanOrEqual(limit);
            if (page.next !== undefined) expect(page.list.length, 'progress').toBeGreaterThan(0);
            found.push(...page.list.map(({ connection }) => connection));
            after = page.next;
          } while (after !== undefined);
          const inOrder = [...all].sort((a, b) => (a.instance < b.instance ? -1 : 1));
          expect(found).toEqual(
            inOrder.flatMap(({ instance, ordinals }) => ordinals.map((ordinal) => `${instance}${ordinal}`)),
          );
        },
      ),
    );
  });

  it('go on at the next instance where the one that they had come to is gone', () => {
    expect(startingAt('b.7', 'a')).toBeUndefined();
    expect(startingAt('b.7', 'c')).toBe(0);
    expect(startingAt('b.7', 'b')).toBe(7);
    expect(startingAt(undefined, 'b')).toBe(0);
  });
});
