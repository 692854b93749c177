import type { Msg, NatsConnection, Subscription } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { TimerWheel } from '../../src/clock.ts';
import type { Publication, Sink } from '../../src/hub/source.ts';
import { createLog } from '../../src/log.ts';
import { Metrics } from '../../src/metrics.ts';
import { Router } from '../../src/routing/router.ts';
import { CoreSource } from '../../src/sources/core.ts';
import { ManualClock } from '../support/clock.ts';
import { routeConfig } from '../support/route.ts';

const RETRY_MS = 5_000;

type Callback = (error: Error | null, message: Msg) => void;

/** A connection of the NATS client, and the server behind it, which permits what it is told to. */
class FakeNats {
  permitted = true;
  /** Whether the client itself refuses to subscribe. */
  throws = false;
  /** What the server would deliver to: more than one callback for a subject would be duplicates. */
  readonly live = new Map<Subscription, { subject: string; callback: Callback }>();

  get asConnection(): NatsConnection {
    return this as unknown as NatsConnection;
  }

  isClosed(): boolean {
    return false;
  }

  subscribe(subject: string, { callback }: { callback: Callback }): Subscription {
    if (this.throws) throw new Error('not now');
    const subscription = {
      isClosed: () => !this.live.has(subscription),
      unsubscribe: () => void this.live.delete(subscription),
    } as unknown as Subscription;
    this.live.set(subscription, { subject, callback });
    return subscription;
  }

  /** As the server answers: first what is not permitted, then the pong. */
  async flush(): Promise<void> {
    if (!this.permitted) this.refuseAll();
  }

  /** The client closes a subscription that the server refuses, and tells its callback. */
  refuseAll(): void {
    for (const [subscription, { callback }] of [...this.live]) {
      this.live.delete(subscription);
      callback(new Error('permissions violation'), undefined as unknown as Msg);
    }
  }

  publish(subject: string, text: string, fields: Record<string, string> = {}): void {
    const headers = { get: (name: string) => fields[name] ?? '' };
    const message = { subject, data: Buffer.from(text), headers } as unknown as Msg;
    for (const { subject: other, callback } of this.live.values())
      if (other === subject) callback(null, message);
  }
}

/** A sink that notes what it is given. */
class Notes implements Sink {
  readonly taken: string[] = [];
  publish({ data }: Publication): void {
    this.taken.push(Buffer.from(data).toString());
  }
  gap(reason: string): void {
    this.taken.push(`gap ${reason}`);
  }
  /** Whether the source said that it is known how the channel is fed. */
  isSettled = false;
  settled(): void {
    this.isSettled = true;
  }
}

function setUp(maxEventBytes = 10) {
  const clock = new ManualClock();
  const wheel = new TimerWheel(clock);
  const metrics = new Metrics();
  const logged: string[] = [];
  const log = createLog(
    { level: 'info', format: 'json' },
    { write: (line) => void logged.push(JSON.parse(line).message) },
  );
  const source = new CoreSource({ epoch: 'e', clock, wheel, log, metrics, maxEventBytes });
  const router = new Router({
    one: routeConfig({ channel: 'a.{x}', subject: 's.{x}' }),
    two: routeConfig({ channel: 'b.{x}', subject: 's.{x}' }),
    mapped: routeConfig({ channel: 'm.{x}', subject: 's.{x}', map: { id: ['id'] } }),
    hidden: routeConfig({
      channel: 'h.{x}',
      subject: 's.{x}',
      map: { id: ['id'] },
      envelope: true,
      redact: [{ kind: 'pattern', pattern: '\\d{4}-\\d', flags: '', replacement: '#' }],
    }),
    redacted: routeConfig({
      channel: 'r.{x}',
      subject: 's.{x}',
      redact: [{ kind: 'pointer', pointer: ['a'], replacement: '#' }],
    }),
  });
  const open = (channel: string) => {
    const destination = router.resolve(channel);
    if (destination === undefined) throw new TypeError(channel);
    const sink = new Notes();
    return { sink, upstream: source.open(destination, sink) };
  };
  const pass = async (ms: number) => {
    clock.advance(ms);
    wheel.advance();
    // The end of the turn asks NATS; what `flush` promised has its say a turn later.
    for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  return { source, metrics, logged, open, pass };
}

describe('a subject', () => {
  it('is subscribed to once for all its channels, and until the last of them is closed', () => {
    const { source, open } = setUp();
    const nats = new FakeNats();
    source.connected(nats.asConnection);
    const [one, two] = [open('a.1'), open('b.1')];
    expect([nats.live.size, source.subscriptionCount]).toEqual([1, 1]);
    nats.publish('s.1', 'x');
    one.upstream.close();
    nats.publish('s.1', 'y');
    expect([one.sink.taken, two.sink.taken]).toEqual([['x'], ['x', 'y']]);
    two.upstream.close();
    expect([nats.live.size, source.subscriptionCount]).toEqual([0, 0]);
  });

  it('is subscribed to when there is a connection, and anew with a gap when there is another one', async () => {
    const { source, open, pass } = setUp();
    const { sink } = open('a.1');
    const [first, second] = [new FakeNats(), new FakeNats()];
    source.connected(first.asConnection);
    expect([first.live.size, sink.taken]).toEqual([1, []]);
    source.connected(second.asConnection);
    await pass(0);
    expect([second.live.size, sink.taken]).toEqual([1, ['gap disconnected']]);
  });

  it('has a gap when its connection was lost and is back, once NATS has the subscription again', async () => {
    const { source, open, pass } = setUp();
    source.connected(new FakeNats().asConnection);
    const { sink } = open('a.1');
    source.disconnected();
    source.reconnected();
    // What is published until then is missed as well: a gap that was said before would not cover it.
    expect([sink.taken, source.interrupted]).toEqual([[], true]);
    await pass(0);
    expect([sink.taken, source.interrupted]).toEqual([['gap disconnected'], false]);
  });

  it('has that gap before the first message that comes', () => {
    const { source, open } = setUp();
    const nats = new FakeNats();
    source.connected(nats.asConnection);
    const { sink } = open('a.1');
    source.disconnected();
    source.reconnected();
    nats.publish('s.1', 'x');
    expect(sink.taken).toEqual(['gap disconnected', 'x']);
  });
});

describe('a subject that NATS refuses', () => {
  /** A channel whose subject was just refused. */
  function refused() {
    const real = setUp();
    const nats = new FakeNats();
    real.source.connected(nats.asConnection);
    const channel = real.open('a.1');
    nats.permitted = false;
    nats.refuseAll();
    return { ...real, ...channel, nats };
  }

  it('makes its channels unavailable, those that come later too, and is said once', () => {
    const { sink, open, logged } = refused();
    expect(sink.taken).toEqual(['gap unavailable']);
    expect(open('b.1').sink.taken).toEqual(['gap unavailable']);
    expect(logged.filter((text) => text.includes('refuses'))).toHaveLength(1);
  });

  it('is asked for again, ever less often, and available again when it is permitted', async () => {
    const { sink, nats, pass } = refused();
    for (const waitMs of [RETRY_MS, 2 * RETRY_MS, 4 * RETRY_MS]) await pass(waitMs);
    expect(sink.taken).toEqual(['gap unavailable']);
    nats.permitted = true;
    await pass(4 * RETRY_MS);
    expect(nats.live.size).toBe(0);
    await pass(4 * RETRY_MS);
    expect([nats.live.size, sink.taken]).toEqual([1, ['gap unavailable', 'gap available']]);
  });

  it.each([
    ['the connection was lost and is back', (source: CoreSource) => source.reconnected()],
    [
      'there is another connection',
      (source: CoreSource, nats: FakeNats) => source.connected(nats.asConnection),
    ],
  ])(
    'and permitted when %s is subscribed to once, not again when its waiting time ends',
    async (_, comesBack) => {
      const { source, sink, nats, pass } = refused();
      nats.permitted = true;
      comesBack(source, nats);
      await pass(0);
      await pass(10 * RETRY_MS);
      nats.publish('s.1', 'x');
      expect(nats.live.size).toBe(1);
      expect(sink.taken).toEqual(['gap unavailable', 'gap available', 'x']);
    },
  );

  it('is subscribed to once where the connection was lost while it was asked for', async () => {
    const { source, sink, nats, pass } = refused();
    nats.permitted = true;
    const { flush } = nats;
    nats.flush = () => Promise.reject(new Error('connection lost'));
    await pass(RETRY_MS);
    nats.flush = flush;
    // The client restores what it was asked to subscribe to.
    source.reconnected();
    await pass(0);
    expect(nats.live.size).toBe(1);
    expect(sink.taken).toEqual(['gap unavailable', 'gap available']);
  });

  it('makes its channel unavailable also where the client refuses it at once', async () => {
    const { source, open, pass } = setUp();
    const nats = new FakeNats();
    nats.throws = true;
    source.connected(nats.asConnection);
    const { sink } = open('a.1');
    expect(sink.taken).toEqual(['gap unavailable']);
    nats.throws = false;
    await pass(RETRY_MS);
    expect(sink.taken).toEqual(['gap unavailable', 'gap available']);
  });

  it('is not asked for any more when its last channel is closed', async () => {
    const { upstream, nats, pass } = refused();
    upstream.close();
    nats.permitted = true;
    await pass(10 * RETRY_MS);
    expect(nats.live.size).toBe(0);
  });
});

describe('a message', () => {
  it('over limits.event is dropped, counted and said; the rest goes on', () => {
    const { source, open, metrics, logged } = setUp(3);
    const nats = new FakeNats();
    source.connected(nats.asConnection);
    const { sink } = open('a.1');
    for (const text of ['abc', 'abcd', 'abcde', 'x']) nats.publish('s.1', text);
    expect(sink.taken).toEqual(['abc', 'gap too-large', 'gap too-large', 'x']);
    expect(metrics.route('one').dropped['too-large']).toBe(2);
    expect(logged.filter((text) => text.includes('limits.event'))).toHaveLength(1);
  });

  it('that its publisher sent twice is delivered once, and counted', () => {
    const { source, open, metrics } = setUp();
    const nats = new FakeNats();
    source.connected(nats.asConnection);
    const [one, two] = [open('a.1'), open('b.1')];
    for (const [text, id] of [
      ['x', '1'],
      ['x', '1'],
      ['y', '2'],
      ['z', ''],
      ['z', ''],
    ] as const)
      nats.publish('s.1', text, { 'Nats-Msg-Id': id });
    expect([one.sink.taken, two.sink.taken]).toEqual([
      ['x', 'y', 'z', 'z'],
      ['x', 'y', 'z', 'z'],
    ]);
    expect(metrics.route('one').dropped.duplicate).toBe(1);
  });

  it('is known again by the id in its payload, unless its header has one', () => {
    const { source, open, metrics } = setUp();
    const nats = new FakeNats();
    source.connected(nats.asConnection);
    const { sink } = open('m.1');
    for (const text of ['{"id":1}', '{"id":1}', '{"id":2}', 'x', 'x', '{"id":3}', '{"id":3}'])
      nats.publish('s.1', text);
    nats.publish('s.1', '{"id":3}', { 'Nats-Msg-Id': '4' });
    nats.publish('s.1', '{"id":5}', { 'Nats-Msg-Id': '4' });
    nats.publish('s.1', '{"id":4}');
    expect(sink.taken).toEqual(['{"id":1}', '{"id":2}', 'x', 'x', '{"id":3}', '{"id":3}']);
    expect(metrics.route('mapped').dropped.duplicate).toBe(4);
  });

  it('is told from another by its id as it came, whatever of that may be seen', () => {
    const { source, open, metrics } = setUp(100);
    const nats = new FakeNats();
    source.connected(nats.asConnection);
    const { sink } = open('h.1');
    for (const last of [1, 2, 2, 3]) nats.publish('s.1', `{"id":"4111-${last}"}`);
    expect(sink.taken.map((text) => JSON.parse(text).id)).toEqual(['#', '#', '#']);
    expect(metrics.route('hidden').dropped.duplicate).toBe(1);
  });

  it('of which nobody can tell what may be seen is dropped, counted and logged once a while, and is a gap', () => {
    const { source, open, metrics, logged } = setUp();
    const nats = new FakeNats();
    source.connected(nats.asConnection);
    const { sink } = open('r.1');
    for (const text of ['{"a":1}', 'a: 1', 'a', '{"b":1}']) nats.publish('s.1', text);
    expect(sink.taken).toEqual(['{"a":"#"}', 'gap error', 'gap error', '{"b":1}']);
    expect(metrics.route('redacted').dropped.unredactable).toBe(2);
    expect(logged).toEqual(['a payload that is not JSON cannot be redacted by pointers and was dropped']);
  });

  it('that cannot be mapped never throws into the client, and harms no other channel', () => {
    const { source, open, metrics } = setUp();
    const nats = new FakeNats();
    source.connected(nats.asConnection);
    const [one, two] = [open('a.1'), open('b.1')];
    one.sink.publish = () => {
      throw new Error('poisoned');
    };
    expect(() => nats.publish('s.1', 'x')).not.toThrow();
    expect(two.sink.taken).toEqual(['x']);
    expect(metrics.route('one').dropped.error).toBe(1);
  });

  it('that was not confirmed when the connection was lost is confirmed by the next, for who joins it later too', async () => {
    const { source, open, pass } = setUp();
    const nats = new FakeNats();
    source.connected(nats.asConnection);
    open('a.1');
    source.disconnected();
    await pass(0);
    source.reconnected();
    await pass(0);
    expect(open('b.1').sink.isSettled).toBe(true);
  });
});
