import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChannelListing, type ChannelsWanted } from '../../src/hub/listing.ts';
import { Walks } from '../../src/hub/walks.ts';
import { FakeSubscriber, setUpHub } from './fakes.ts';

const ALL: ChannelsWanted = {
  matches: () => true,
  route: undefined,
  isOccupied: false,
  after: '',
  limit: 1000,
};

function setUp(names: readonly string[] = [], setup: Parameters<typeof setUpHub>[0] = {}) {
  const real = setUpHub({ maxChannels: 100_000, ...setup });
  for (const name of names) real.join(new FakeSubscriber(), name);
  return { ...real, listing: new ChannelListing(real.hub.channels, new Walks(real.clock)) };
}

const channelName = fc.stringMatching(/^[A-Za-z0-9:~-]{1,6}$/);

describe('the channels that are held', () => {
  it('are listed by name with how many are on each', async () => {
    const { listing, join } = setUp(['b', 'a', 'c']);
    join(new FakeSubscriber(), 'b');
    expect(await listing.list(ALL)).toEqual({
      list: [
        { channel: 'a', route: 'any', subscribers: 1 },
        { channel: 'b', route: 'any', subscribers: 2 },
        { channel: 'c', route: 'any', subscribers: 1 },
      ],
      more: false,
    });
  });

  it('come page by page, each once and none left out, whatever their order and the size of a page', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(channelName, { maxLength: 60 }),
        fc.integer({ min: 1, max: 9 }),
        async (names, limit) => {
          const { listing } = setUp(names);
          const found: string[] = [];
          for (let more = true; more; ) {
            const page = await listing.list({ ...ALL, limit, after: found.at(-1) ?? '' });
            expect(page.list.length).toBeLessThanOrEqual(limit);
            found.push(...page.list.map(({ channel }) => channel));
            ({ more } = page);
          }
          expect(found).toEqual([...names].sort());
        },
      ),
    );
  });

  it('are only those that are asked for', async () => {
    const { listing, hub, join, destination } = setUp(['a-1', 'a-2', 'b-1']);
    const gone = new FakeSubscriber();
    hub.unsubscribe(gone, join(gone, 'a-3'));
    const names = async (wanted: Partial<ChannelsWanted>) =>
      (await listing.list({ ...ALL, ...wanted })).list.map(({ channel }) => channel);
    expect(await names({ matches: (name) => name.startsWith('a') })).toEqual(['a-1', 'a-2', 'a-3']);
    expect(await names({ isOccupied: true })).toEqual(['a-1', 'a-2', 'b-1']);
    expect(await names({ route: 'other' })).toEqual([]);
    expect(await names({ route: destination('a-1').route.name, after: 'a-2' })).toEqual(['a-3', 'b-1']);
  });
});

describe('a channel', () => {
  it('that is not held is not known', () => {
    expect(setUp().listing.describe('a')).toBeUndefined();
  });

  it('is told with its history and the cursor of who has everything', () => {
    const history = { size: 10, ageMs: 60_000, bytes: 10_000 };
    const { listing, publish, hub, clock, cursor } = setUp(['a'], { route: { history } });
    const openedMs = clock.wall();
    clock.advance(1000);
    publish('a', 'one');
    clock.advance(1000);
    publish('a', 'two');
    hub.flush();
    const told = listing.describe('a');
    expect(told).toMatchObject({
      subscribers: 1,
      openedMs,
      isLingering: false,
      isUnavailable: false,
      position: cursor(),
      history: { events: 2, oldestMs: openedMs + 1000, newestMs: openedMs + 2000 },
    });
    expect(told?.history.bytes).toBeGreaterThan(0);
  });

  it('that nobody is on any more lingers until it is given up', () => {
    const { listing, hub, join, clock, wheel } = setUp([], { lingerMs: 5000 });
    const reader = new FakeSubscriber();
    hub.unsubscribe(reader, join(reader, 'a'));
    expect(listing.describe('a')).toMatchObject({ subscribers: 0, isLingering: true });
    clock.advance(6000);
    wheel.advance();
    expect(listing.describe('a')).toBeUndefined();
  });
});
