import { describe, expect, it } from 'vitest';
import { FakeArchive } from './fake-archive.ts';
import { FakeSubscriber, LINGER_MS, setUpHub } from './fakes.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a channel that holds events back', () => {
  it('gives them a position when they go out, and a cursor only then', async () => {
    const { join, publish, pass, hub } = setUpHub({ route: { throttleMs: 1000 } });
    const subscriber = new FakeSubscriber();
    join(subscriber, 'a');
    const start = Number(hub.cursor(subscriber).slice(2));
    for (const data of ['1', '2', '3']) publish('a', data);
    await turn();
    expect(subscriber.data).toEqual(['1']);
    expect(hub.cursor(subscriber)).toBe(`e.${start + 1}`);
    pass(1000);
    await turn();
    expect(subscriber.events.map(({ data, id }) => [data, id])).toEqual([
      ['1', `e.${start + 1}`],
      ['3', `e.${start + 2}`],
    ]);
  });

  it('publishes them in the log that they came from, before that begins anew', async () => {
    const { join, hub, source, pass } = setUpHub({
      route: { batch: { windowMs: 1000, as: 'events' } },
      archive: new FakeArchive(),
    });
    const subscriber = new FakeSubscriber();
    join(subscriber, 'a');
    for (const offset of [7, 8]) {
      source.log.offset = offset;
      source.sink('a')?.publish({ event: undefined, data: `${offset}` }, offset);
    }
    source.log.begin('f', 0, 0);
    source.log.offset = 1;
    source.sink('a')?.publish({ event: undefined, data: '1' }, 1);
    pass(1000);
    hub.flush();
    await turn();
    expect(subscriber.events.map(({ id, data }) => [id, data])).toEqual([
      ['e.7', '7'],
      ['e.8', '8'],
      ['f.1', '1'],
    ]);
  });

  it('tells them before a gap', async () => {
    const { join, publish, source } = setUpHub({ route: { batch: { windowMs: 1000, as: 'events' } } });
    const subscriber = new FakeSubscriber();
    join(subscriber, 'a');
    publish('a', '1');
    source.sink('a')?.gap('error');
    publish('a', '2');
    await turn();
    expect(subscriber.events.map(({ event }) => event)).toEqual(['message', 'sidestream.gap']);
  });

  it('lets go of everything when it is closed: nothing of it comes later', async () => {
    const { join, publish, pass, hub, source, metrics } = setUpHub({
      route: { throttleMs: 3_600_000, batch: { windowMs: 60_000, as: 'events' } },
      lingerMs: LINGER_MS,
    });
    const subscriber = new FakeSubscriber();
    const channel = join(subscriber, 'a');
    for (const data of ['1', '2', '3']) publish('a', data);
    hub.unsubscribe(subscriber, channel);
    pass(LINGER_MS);
    expect([source.fed, hub.channelCount, channel.heldAt]).toEqual([[], 0, Infinity]);
    const { publications } = metrics.route('any');
    expect(publications).toBe(3);
    pass(3_600_000);
    await turn();
    expect(metrics.route('any').publications).toBe(3);
    expect(subscriber.data).toEqual([]);
  });
});
