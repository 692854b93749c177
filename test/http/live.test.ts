import { expect, it, vi } from 'vitest';
import { Connection } from '../../src/http/connection.ts';
import { Live } from '../../src/http/live.ts';
import { openStream } from '../../src/http/subscribe.ts';
import { setUpHub } from '../hub/fakes.ts';
import { contextOf } from '../hub/world.ts';
import { EventStreamParser } from '../support/event-stream.ts';
import { FakeResponse } from './fake-response.ts';

const MANY = 3000;
/** What each turn spends on those in line and on each channel, at most. */
const SLICE_MS = 3;

/** Many open streams, and a clock of which each write takes some. */
function openMany(channels: readonly string[]) {
  const real = setUpHub();
  const { clock, wheel, hub, metrics, destination } = real;
  const context = contextOf(clock, wheel, hub, metrics);
  const open = (on: readonly string[]) => {
    const res = new FakeResponse();
    const connection = new Connection(res.asResponse, { address: '192.0.2.1', identity: undefined }, context);
    const destinations = on.map(destination);
    const options = { destinations, cursor: undefined, mediaType: 'text/event-stream', headers: [] };
    res.handle(() => openStream(connection, res.asResponse, context, options));
    return { res, connection };
  };
  const streams = Array.from({ length: MANY }, () => open(channels));
  const recount = vi.fn();
  const connections = new Set(streams.map(({ connection }) => connection));
  const live = new Live({ hub, streams: { connections, polls: new Set() }, control: true, recount });
  for (const { res } of streams) {
    const write = res.write.bind(res);
    res.write = (chunk) => {
      clock.advance(0.05);
      return write(chunk);
    };
  }
  return { ...real, live, streams, recount, probe: open(['probe']) };
}

function eventsOf({ bytes }: FakeResponse): readonly string[] {
  const parser = new EventStreamParser();
  parser.push(bytes);
  return parser.events.map(({ event, data }) => (event === 'message' ? data : event));
}

/** Goes on turn by turn, publishing to somebody else in each, until all streams have what they are to have. */
async function goOn(
  { streams, publish, probe }: ReturnType<typeof openMany>,
  has: string,
): Promise<number[]> {
  const done: number[] = [];
  for (let turn = 0; done.at(-1) !== MANY; turn += 1) {
    publish('probe', `${turn}`);
    await new Promise<void>((resolve) => setImmediate(resolve));
    done.push(streams.filter(({ res }) => res.bytes.includes(has)).length);
    // What was published in a turn is there at its end or at that of the next, whatever is done for thousands.
    if (turn > 0) expect(eventsOf(probe.res)).toContain(`${turn - 1}`);
  }
  return done;
}

it('what is sent to thousands of streams goes out in slices, and what is live comes between', async () => {
  const many = openMany(['a']);
  expect(many.live.send('all', { event: 'news', data: 'x', priority: 0 })).toBe(MANY);
  many.publish('a', 'after');
  const done = await goOn(many, 'event: news');
  expect(done.length).toBeGreaterThan((MANY * 0.05) / (2 * SLICE_MS) / 2);
  expect(done[0]).toBeLessThan(MANY / 4);
  many.hub.flush();
  for (const { res } of many.streams) expect(eventsOf(res).slice(1).sort()).toEqual(['after', 'news']);
});

it.each<[string, readonly string[], string, readonly string[]]>([
  ['ends those with no other', ['a'], 'event: sidestream.close', []],
  ['leaves those with another there', ['a', 'b'], 'event: sidestream.unsubscribed', ['b']],
])(
  'the closing of a channel with thousands of streams %s, in slices, and what is live comes between',
  async (_, on, told, left) => {
    const many = openMany(on);
    expect(many.live.closeChannel('a')).toBe(MANY);
    const done = await goOn(many, told);
    expect(done[0]).toBeLessThan(MANY / 4);
    expect(many.hub.subscriberCount('a')).toBe(0);
    for (const { connection } of many.streams)
      expect(connection.channels.map(({ name }) => name)).toEqual(left);
    // Its seats are given back: those of a stream that ends as it ends.
    expect(many.recount).toHaveBeenCalledTimes(left.length === 0 ? 0 : MANY);
    for (const [, destinations] of many.recount.mock.calls)
      expect(destinations.map(({ channel }: { channel: string }) => channel)).toEqual(left);
  },
);

it('a stream that is to be ended is nobody’s to act on any more, and is counted once', () => {
  const { live } = openMany(['a']);
  expect(live.disconnect({ channel: 'a' })).toBe(MANY);
  expect(live.disconnect('all', { reconnect: false })).toBe(0);
  expect(live.send('all', { event: 'news', data: 'x', priority: 0 })).toBe(0);
});
