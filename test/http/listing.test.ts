import { describe, expect, it } from 'vitest';
import type { Identity } from '../../src/auth/identity.ts';
import type { Clock } from '../../src/clock.ts';
import { Connection } from '../../src/http/connection.ts';
import { StreamListing, type StreamsWanted } from '../../src/http/listing.ts';
import { Poll } from '../../src/http/poll.ts';
import { PollBodies } from '../../src/http/poll-bodies.ts';
import { Renderings } from '../../src/http/renderings.ts';
import { Retry } from '../../src/http/retry.ts';
import { Streams } from '../../src/http/streams.ts';
import { openStream } from '../../src/http/subscribe.ts';
import { Waiting } from '../../src/http/waiting.ts';
import { Walks } from '../../src/hub/walks.ts';
import { createLog } from '../../src/log.ts';
import { parseCursor } from '../../src/protocol/cursor.ts';
import { FakeSubscriber, setUpHub } from '../hub/fakes.ts';
import { ManualClock } from '../support/clock.ts';
import { FakeResponse } from './fake-response.ts';
import { LIMITS } from './open-connection.ts';

const ALL: StreamsWanted = {
  user: undefined,
  channel: undefined,
  address: undefined,
  after: 0,
  limit: 1000,
  maxBytes: 1_000_000,
};

interface Opened {
  readonly user?: string;
  readonly channels?: readonly string[];
  readonly address?: string;
  readonly accept?: 'sse' | 'ndjson' | 'poll';
  readonly acceptEncoding?: string;
}

/** Time passes for it each time that it is looked at. */
const restless = (): Clock => {
  const clock = new ManualClock();
  const now = () => {
    clock.advance(1);
    return clock.now();
  };
  return { now, wall: () => clock.wall(), random: () => clock.random() };
};

function setUp(walksClock?: Clock) {
  const real = setUpHub({ maxChannels: 100_000 });
  const { clock, hub, wheel, metrics, destination } = real;
  const streams = new Streams();
  const sse = {
    retryMs: { min: 3000, max: 10_000 },
    heartbeatMs: 0,
    maxAgeMs: 0,
    control: true,
    compression: ['gzip' as const],
  };
  const renderings = new Renderings(sse);
  const retry = new Retry({
    clock,
    retryMs: sse.retryMs,
    reconnectRatePerSecond: 1000,
    connections: () => 1,
  });
  const context = {
    clock,
    wheel,
    hub,
    metrics,
    retry,
    waiting: new Waiting(LIMITS.pendingTotalBytes, metrics),
    bodies: new PollBodies(renderings.lines),
    log: createLog({ level: 'silent', format: 'json' }, { write: () => undefined }),
    sse,
    limits: LIMITS,
    ended: (stream: Connection | Poll) => streams.delete(stream),
  };
  const listing = new StreamListing({ streams, hub, clock, walks: new Walks(walksClock ?? clock) });
  const open = ({
    user,
    channels = ['a'],
    address = '',
    accept = 'sse',
    acceptEncoding = '',
  }: Opened = {}) => {
    const res = new FakeResponse();
    const client = { address, identity: user === undefined ? undefined : identityOf(user) };
    const destinations = channels.map(destination);
    if (accept === 'poll') {
      // Who brings the cursor of now to channels that are held has nothing to be told, and waits.
      for (const channel of channels) real.join(new FakeSubscriber(), channel);
      const cursor = parseCursor(real.cursor());
      const chosen = { rendering: undefined, headers: [] };
      const options = { destinations, cursor, chosen, headers: [], waitMs: 25_000, limit: 100 };
      const poll = new Poll(res.asResponse, client, context, options);
      streams.add(poll);
      res.handle(() => poll.start());
      return poll;
    }
    const chosen = renderings.choose(accept, acceptEncoding);
    const connection = new Connection(res.asResponse, client, context, chosen.rendering);
    streams.add(connection);
    const options = { destinations, cursor: undefined, mediaType: '', headers: [], chosen };
    res.handle(() => openStream(connection, res.asResponse, context, options));
    return connection;
  };
  const ids = async (wanted: Partial<StreamsWanted> = {}) =>
    (await listing.list({ ...ALL, ...wanted })).list.map(({ connection }) => connection);
  return { ...real, streams, listing, open, ids };
}

function identityOf(subject: string): Identity {
  const claims = { sub: subject, email: 'secret@example.org' };
  return { subject, claims, expiresAtMs: Date.UTC(2030, 0, 1), issuedAtMs: undefined, tokenId: 'secret-id' };
}

describe('the streams of a server', () => {
  it('are listed in the order in which they came, long polls among them', async () => {
    const { open, ids, streams } = setUp();
    const [a, b, c, d] = [open(), open({ accept: 'poll' }), open({ accept: 'ndjson' }), open()];
    expect(await ids()).toEqual([a?.id, b?.id, c?.id, d?.id]);
    c?.abort('client');
    expect(await ids()).toEqual([a?.id, b?.id, d?.id]);
    expect(streams.size).toBe(3);
  });

  it('are told with what an operator needs, and nothing of the token but its user and its end', async () => {
    const { open, listing, clock } = setUp();
    const openedMs = clock.wall();
    open({
      user: '42',
      channels: ['a', 'b'],
      address: '192.0.2.7',
      accept: 'ndjson',
      acceptEncoding: 'gzip',
    });
    clock.advance(5000);
    const { list } = await listing.list(ALL);
    expect(list).toEqual([
      {
        connection: expect.stringMatching(/^[0-9a-f-]{36}$/),
        ordinal: 1,
        user: '42',
        address: '192.0.2.7',
        transport: 'ndjson',
        encoding: 'gzip',
        channels: ['a', 'b'],
        openedMs,
        expiresMs: Date.UTC(2030, 0, 1),
        waitingBytes: 0,
      },
    ]);
    expect(JSON.stringify(list)).not.toContain('secret');
  });

  it('are only those of a user, on a channel, or from an address', async () => {
    const { open, ids } = setUp();
    const mine = open({ user: '42', channels: ['a'], address: '192.0.2.1' });
    const other = open({ user: '43', channels: ['a', 'b'], address: '192.0.2.1' });
    const poll = open({ channels: ['b'], accept: 'poll', address: '192.0.2.2' });
    expect(await ids({ user: '42' })).toEqual([mine.id]);
    expect(await ids({ channel: 'a' })).toEqual([mine.id, other.id]);
    expect(await ids({ channel: 'b' })).toEqual([other.id, poll.id]);
    expect(await ids({ address: '192.0.2.1', channel: 'b' })).toEqual([other.id]);
    expect(await ids({ address: '192.0.2' })).toEqual([]);
  });

  it('come page by page, bounded in number and in bytes, also while some come and go', async () => {
    const { open, listing } = setUp();
    const all = Array.from({ length: 10 }, (_, i) => open({ accept: i % 3 === 0 ? 'poll' : 'sse' }));
    const first = await listing.list({ ...ALL, limit: 4 });
    expect(first.more).toBe(true);
    all[1]?.abort('client');
    all[5]?.abort('client');
    const late = open();
    const rest = await listing.list({ ...ALL, after: first.list.at(-1)?.ordinal ?? 0 });
    expect([...first.list, ...rest.list].map(({ connection }) => connection)).toEqual(
      [...all.slice(0, 5), ...all.slice(6), late].map(({ id }) => id),
    );
    expect(rest.more).toBe(false);
    expect(await listing.list({ ...ALL, maxBytes: 1 })).toMatchObject({ list: [{ ordinal: 1 }], more: true });
  });

  it('are counted by how they are written, and go back to none', async () => {
    const { open, listing } = setUp();
    const all = (['sse', 'ndjson', 'poll', 'ndjson'] as const).map((accept) =>
      open({ accept, user: accept }),
    );
    expect(listing.counts).toEqual({ sse: 1, ndjson: 2, poll: 1 });
    expect(await listing.users()).toEqual(new Set(['sse', 'ndjson', 'poll']));
    for (const one of all) one.abort('client');
    expect(listing.counts).toEqual({ sse: 0, ndjson: 0, poll: 0 });
    expect((await listing.users()).size).toBe(0);
  });

  it('are looked through in slices, between which what is published reaches its readers', async () => {
    const { open, listing, publish, join } = setUp(restless());
    for (let i = 0; i < 1000; i += 1) open({ channels: ['crowd'] });
    const reader = new FakeSubscriber();
    join(reader, 'live');
    let isThrough = false;
    const through = listing.list({ ...ALL, user: 'nobody' }).then(() => {
      isThrough = true;
    });
    let sent = 0;
    while (!isThrough) {
      publish('live', 'x');
      sent += 1;
      await new Promise<void>((resolve) => setImmediate(resolve));
      expect(reader.data).toHaveLength(sent);
    }
    await through;
    // Three looks at the clock a slice, and sixteen streams between two.
    expect(sent).toBeGreaterThan(1000 / 48);
  });
});

describe('one stream', () => {
  it('is told with its cursor, and with when something was last written', async () => {
    const { open, listing, publish, clock, cursor } = setUp();
    const { id } = open();
    clock.advance(2000);
    publish('a', 'x');
    const described = await listing.describe(id);
    expect(described).toMatchObject({ connection: id, cursor: cursor(), lastWriteMs: clock.wall() });
    expect(described).not.toHaveProperty('behindSinceMs');
  });

  it('that waits as a long poll has neither', async () => {
    const { open, listing } = setUp();
    const { id } = open({ accept: 'poll' });
    expect(await listing.describe(id)).toMatchObject({ connection: id, transport: 'poll' });
    expect(await listing.describe(id)).not.toHaveProperty('cursor');
  });

  it('that is not there, or no more, is not told', async () => {
    const { open, listing } = setUp();
    const stream = open();
    stream.abort('client');
    expect(await listing.describe(stream.id)).toBeUndefined();
    expect(await listing.describe('nobody')).toBeUndefined();
  });
});
