import { describe, expect, it } from 'vitest';
import { FakeSubscriber, LINGER_MS, setUpHub } from './fakes.ts';

/** The end of this turn of the event loop, after the hub's own. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('the hub', () => {
  it('hands over what a turn brought by itself, at the end of the turn, as one write', async () => {
    const { join, publish } = setUpHub();
    const reader = new FakeSubscriber();
    join(reader, 'a');
    publish('a', '1');
    publish('a', '2');
    expect(reader.data).toEqual([]);
    await turn();
    expect(reader.data).toEqual(['1', '2']);
    expect(reader.batches.map(({ parts }) => parts.length)).toEqual([1]);
  });

  it('hands over again in the next turn', async () => {
    const { join, publish } = setUpHub();
    const reader = new FakeSubscriber();
    join(reader, 'a');
    publish('a', '1');
    await turn();
    publish('a', '2');
    await turn();
    expect(reader.data).toEqual(['1', '2']);
  });

  it('gives nothing that was published before a subscriber joined, not even in the same turn', () => {
    const { hub, join, publish } = setUpHub();
    const [early, late] = [new FakeSubscriber(), new FakeSubscriber()];
    join(early, 'a');
    publish('a', 'before');
    join(late, 'a');
    publish('a', 'after');
    hub.flush();
    expect([early.data, late.data]).toEqual([['before', 'after'], ['after']]);
  });

  it('gives a connection on several channels their publications in order of arrival', () => {
    const { hub, join, publish } = setUpHub();
    const reader = new FakeSubscriber();
    for (const channel of ['a', 'b', 'c']) join(reader, channel);
    for (const data of ['b1', 'a1', 'c1', 'a2', 'b2']) publish(data.charAt(0), data);
    hub.flush();
    expect(reader.data).toEqual(['b1', 'a1', 'c1', 'a2', 'b2']);
    const offsets = reader.events.map(({ id }) => Number(id.split('.')[1]));
    expect(offsets).toEqual([...new Set(offsets)].sort((a, b) => a - b));
    expect(reader.batches).toHaveLength(1);
  });

  it('encodes once and joins once: all who are on the same channels get the very same bytes', () => {
    const { hub, join, publish } = setUpHub();
    const readers = [new FakeSubscriber(), new FakeSubscriber(), new FakeSubscriber()];
    for (const reader of readers) for (const channel of ['a', 'b']) join(reader, channel);
    publish('a', '1');
    publish('b', '2');
    hub.flush();
    const [first, ...others] = readers.map(({ batches }) => batches[0]);
    for (const batch of others) expect(batch).toBe(first);
  });

  it('takes it that a subscriber leaves all its channels while it is being delivered to', () => {
    const { hub, join, publish } = setUpHub();
    const [leaver, stayer] = [new FakeSubscriber(), new FakeSubscriber()];
    const channels = ['a', 'b'].map((channel) => join(leaver, channel));
    for (const channel of ['a', 'b']) join(stayer, channel);
    leaver.onDeliver = () => {
      for (const channel of channels) hub.unsubscribe(leaver, channel);
    };
    for (const data of ['1', '2']) {
      publish('a', data);
      publish('b', data);
      hub.flush();
    }
    expect([leaver.data, stayer.data]).toEqual([
      ['1', '1'],
      ['1', '1', '2', '2'],
    ]);
  });

  it('passes on the event name, and what a gap was', () => {
    const { hub, join, publish, source } = setUpHub();
    const reader = new FakeSubscriber();
    join(reader, 'a');
    publish('a', '1', 'tick');
    source.sink('a')?.gap('disconnected');
    hub.flush();
    expect(reader.events.map(({ event, data }) => [event, data])).toEqual([
      ['tick', '1'],
      ['sidestream.gap', '{"channel":"a","reason":"disconnected"}'],
    ]);
  });

  it('sends no gap where control events are off, and still counts it', () => {
    const { hub, join, source, metrics } = setUpHub({ control: false });
    const reader = new FakeSubscriber();
    join(reader, 'a');
    source.sink('a')?.gap('disconnected');
    hub.flush();
    expect(reader.batches).toEqual([]);
    expect(metrics.gaps.get('disconnected')).toBe(1);
  });

  it('remembers that a channel is unavailable until it is available', () => {
    const { join, source } = setUpHub();
    const channel = join(new FakeSubscriber(), 'a');
    source.sink('a')?.gap('unavailable');
    expect(channel.unavailable).toBe(true);
    source.sink('a')?.gap('disconnected');
    expect(channel.unavailable).toBe(true);
    source.sink('a')?.gap('available');
    expect(channel.unavailable).toBe(false);
  });

  it('counts publications and deliveries', () => {
    const { hub, join, publish, metrics } = setUpHub();
    for (const reader of [new FakeSubscriber(), new FakeSubscriber()]) join(reader, 'a');
    publish('a', '1');
    publish('a', '2');
    hub.flush();
    expect(metrics.route('any')).toMatchObject({ publications: 2, deliveries: 4 });
    expect(metrics.publishToFlush.counts.reduce((sum, n) => sum + n, 0)).toBe(2);
  });
});

describe('interest upstream', () => {
  it('begins with the first subscriber and ends a linger after the last', () => {
    const { hub, join, source, pass } = setUpHub();
    const [one, two] = [new FakeSubscriber(), new FakeSubscriber()];
    const channel = join(one, 'a');
    join(two, 'a');
    hub.unsubscribe(one, channel);
    pass(2 * LINGER_MS);
    hub.unsubscribe(two, channel);
    pass(LINGER_MS - 1);
    expect(source.calls).toEqual(['+a']);
    expect([hub.channelCount, hub.lingeringCount]).toEqual([1, 1]);
    pass(1000);
    expect(source.calls).toEqual(['+a', '-a']);
    expect([hub.channelCount, hub.lingeringCount]).toEqual([0, 0]);
  });

  it('is kept where somebody comes back within the linger', () => {
    const { hub, join, source, pass } = setUpHub();
    const reader = new FakeSubscriber();
    hub.unsubscribe(reader, join(reader, 'a'));
    pass(LINGER_MS - 1);
    join(reader, 'a');
    pass(10 * LINGER_MS);
    expect(source.calls).toEqual(['+a']);
  });

  it('lingers anew after each return, and is not shortened by an unsubscription that was none', () => {
    const { hub, join, source, pass } = setUpHub();
    const reader = new FakeSubscriber();
    const channel = join(reader, 'a');
    for (let i = 0; i < 3; i += 1) {
      hub.unsubscribe(reader, channel);
      pass(LINGER_MS - 1);
      hub.unsubscribe(reader, channel);
      join(reader, 'a');
    }
    hub.unsubscribe(reader, channel);
    pass(LINGER_MS - 1);
    hub.unsubscribe(reader, channel);
    expect(source.calls).toEqual(['+a']);
    pass(1000);
    expect(source.calls).toEqual(['+a', '-a']);
  });

  it('of lingering channels gives way to new ones, the longest unused first', () => {
    const { hub, join, source } = setUpHub({ maxChannels: 3 });
    const reader = new FakeSubscriber();
    const [a, b, c] = ['a', 'b', 'c'].map((name) => join(reader, name));
    for (const channel of [b, a]) if (channel !== undefined) hub.unsubscribe(reader, channel);
    join(reader, 'd');
    join(reader, 'e');
    expect(source.calls).toEqual(['+a', '+b', '+c', '-b', '+d', '-a', '+e']);
    expect(source.fed).toEqual(['c', 'd', 'e']);
    expect(c?.subscribers.size).toBe(1);
  });

  it('has room for as many channels as fit beside those in use, and always for those in use', () => {
    const { hub, join } = setUpHub({ maxChannels: 2 });
    const reader = new FakeSubscriber();
    const a = join(reader, 'a');
    expect([hub.hasRoomFor(['b']), hub.hasRoomFor(['b', 'c'])]).toEqual([true, false]);
    join(reader, 'b');
    expect([hub.hasRoomFor(['a', 'b']), hub.hasRoomFor(['a']), hub.hasRoomFor(['c'])]).toEqual([
      true,
      true,
      false,
    ]);
    hub.unsubscribe(reader, a);
    expect([hub.hasRoomFor(['c']), hub.hasRoomFor(['a', 'b']), hub.hasRoomFor(['a', 'c'])]).toEqual([
      true,
      true,
      false,
    ]);
  });

  it('ends for all channels with the hub, after what was waiting has gone out', () => {
    const { hub, join, publish, source, pass } = setUpHub();
    const reader = new FakeSubscriber();
    hub.unsubscribe(reader, join(reader, 'a'));
    join(reader, 'b');
    publish('b', 'last');
    hub.close();
    pass(2 * LINGER_MS);
    expect(source.calls).toEqual(['+a', '+b', '-a', '-b']);
    expect(reader.data).toEqual(['last']);
  });
});
