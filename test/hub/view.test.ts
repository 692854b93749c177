import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TimerWheel } from '../../src/clock.ts';
import { Encoder } from '../../src/hub/encoder.ts';
import { Log, LogSet, type View, viewCursor } from '../../src/hub/log.ts';
import { recast, Views, withoutAhead } from '../../src/hub/view.ts';
import { type Batch, makeBatch, mergeBatches } from '../../src/protocol/batch.ts';
import { parseCursor } from '../../src/protocol/cursor.ts';
import type { Frame } from '../../src/protocol/frame.ts';
import { ManualClock } from '../support/clock.ts';
import { EventStreamParser } from '../support/event-stream.ts';
import { FakeSubscriber } from './fakes.ts';
import { FakeClient, setUpStreamHub } from './stream-hub.ts';
import { settle, World } from './world.ts';

const read = (bytes: Uint8Array) => {
  const parser = new EventStreamParser();
  parser.push(bytes);
  return parser;
};
const bytesOf = (frames: readonly Frame[]) => Buffer.concat(frames.map(({ bytes }) => bytes));

/** Three logs, of which two have an epoch, and frames of them. */
function setUp() {
  const logs = [new Log('e'), new Log('f'), new Log()] as const;
  const encoder = new Encoder(new ManualClock());
  const frame = (log: Log, offset: number, data = `${offset}`) =>
    encoder.entry(log, { event: undefined, data }, offset);
  return { logs, frame, set: new LogSet(logs) };
}

describe('a frame for who reads several logs', () => {
  it('has an `id:` of all positions that are known, each as of that frame', () => {
    const { logs, frame, set } = setUp();
    const [e, f, unknown] = logs;
    const frames = [frame(e, 5), frame(f, 8), frame(unknown, 1), frame(e, 6)];
    const recasts = recast(frames, set, (log) => (log === e ? 3 : 7));
    expect(read(bytesOf(recasts)).events.map(({ id, data }) => `${id} ${data}`)).toEqual([
      'e.5_f.7 5',
      'e.5_f.8 8',
      'e.5_f.8 1',
      'e.6_f.8 6',
    ]);
    expect(read(bytesOf(frames)).events.map(({ id }) => id)).toEqual(['e.5', 'f.8', 'f.8', 'e.6']);
  });

  it('brings a cursor with the last event of a message only: before a log that began anew there is none', () => {
    const { logs, frame, set } = setUp();
    const [e] = logs;
    const recasts = recast([frame(e, 5, 'x'), frame(e, 5, 'y'), frame(e, 6)], set, () => 4);
    expect(read(bytesOf(recasts)).events.map(({ id }) => id)).toEqual(['', 'e.5_f.4', 'e.6_f.4']);
  });

  it('never moves it back', () => {
    const { logs, frame, set } = setUp();
    const [e] = logs;
    expect(read(bytesOf(recast([frame(e, 5)], set, () => 9))).lastEventId).toBe('e.9_f.9');
  });

  it('is made once for all on the same logs', () => {
    const { logs, frame, set } = setUp();
    const views = new Views();
    const batch = makeBatch([frame(logs[0], 1)]);
    const [first, second] = [1, 2].map((): Batch | undefined => {
      const subscriber = new FakeSubscriber();
      subscriber.view = { logs: set, ahead: undefined };
      return views.seen(subscriber, batch, () => 0);
    });
    expect(first?.frames).toHaveLength(1);
    expect(first).toBe(second);
  });

  it('wherever the bytes are cut off, the cursor covers what arrived whole, but for a part of a message', () => {
    const drawn = fc.array(fc.record({ log: fc.nat({ max: 1 }), copies: fc.integer({ min: 1, max: 3 }) }), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(drawn, fc.double({ min: 0, max: 1, noNaN: true }), (drawn, share) => {
        const { logs, frame, set } = setUp();
        const offsets = [10, 20];
        const frames = drawn.flatMap(({ log, copies }) => {
          offsets[log] = (offsets[log] ?? 0) + 1;
          const [of, offset] = [logs[log] ?? logs[0], offsets[log]];
          return Array.from({ length: copies }, (_, copy) =>
            frame(of, offset, `${log} ${offset} ${copy} ${copies}`),
          );
        });
        const merged = mergeBatches(frames.map((one) => makeBatch([one])));
        const bytes = bytesOf(recast(merged.frames, set, (log) => (log === logs[0] ? 10 : 20)));
        const parser = read(bytes.subarray(0, Math.round(bytes.length * share)));
        const cursor = parseCursor(parser.lastEventId) ?? [{ offset: 10 }, { offset: 20 }];
        const whole = [10, 20];
        for (const { data } of parser.events) {
          const [log = 0, offset = 0, copy, copies = 0] = data.split(' ').map(Number);
          if (copy === copies - 1) whole[log] = offset;
        }
        expect(cursor.map(({ offset }) => offset)).toEqual(whole);
      }),
      { numRuns: 500 },
    );
  });
});

describe('the cursor of a moment', () => {
  it('is of what was handed over, or of what the client had already, but never past what is held back', () => {
    const { logs, set } = setUp();
    const [e, f] = logs;
    e.offset = 9;
    e.flushed = 5;
    f.flushed = 2;
    expect(viewCursor({ logs: set, ahead: undefined }, () => Infinity)).toBe('e.5_f.2');
    expect(viewCursor({ logs: set, ahead: new Map([[f, 4]]) }, () => Infinity)).toBe('e.5_f.4');
    expect(viewCursor({ logs: set, ahead: new Map([[f, 4]]) }, () => 3)).toBe('e.3_f.3');
  });
});

describe('a log that begins anew under a client that was further in it', () => {
  it('takes what it had in that log from the view, and from no other', () => {
    const { logs, set } = setUp();
    const [e, f] = logs;
    const both: View = {
      logs: set,
      ahead: new Map([
        [e, 4],
        [f, 5],
      ]),
    };
    expect(withoutAhead(both, e)).toEqual({ logs: set, ahead: new Map([[f, 5]]) });
    expect(withoutAhead(withoutAhead(both, e), f)).toEqual({ logs: set, ahead: undefined });
    expect(withoutAhead({ logs: new LogSet([e]), ahead: new Map([[e, 4]]) }, e)).toBeUndefined();
    expect(withoutAhead(undefined, e)).toBeUndefined();
  });
});

describe('a client that another replica has taken further than this one', () => {
  const ahead = async () => {
    const setup = setUpStreamHub();
    setup.messages(1, 5);
    setup.archive.store({ offset: 6 }, { offset: 7 });
    const client = setup.connect('e.7');
    await setup.settle();
    return { ...setup, client };
  };

  it('is sent nothing of what it has, and everything after', async () => {
    const { client, message, hub, archive } = await ahead();
    expect(client.opened).toEqual([{ channel: 'a', resume: 'recovered', replayed: 0 }]);
    expect(client.lastEventId).toBe('e.7');
    for (const offset of [6, 7, 8]) message({ offset });
    hub.flush();
    message({ offset: 9 });
    hub.flush();
    expect(client.received).toEqual(['e.8 8', 'e.9 9']);
    expect(client.connection.view).toBeUndefined();
    expect(archive.newestAsked).toBe(1);
  });

  it('is told what happens to its channel meanwhile, and its cursor does not go back', async () => {
    const { client, source, message, hub } = await ahead();
    source.sink('a')?.gap('unavailable');
    hub.flush();
    expect(client.notices).toEqual(['sidestream.gap {"channel":"a","reason":"unavailable"}']);
    expect(client.lastEventId).toBe('e.7');
    message({ offset: 6 });
    hub.flush();
    expect([client.received, client.lastEventId]).toEqual([[], 'e.7']);
  });

  it('is sent everything of a log that begins anew', async () => {
    const { client, source, message, hub } = await ahead();
    source.log.begin('f', 0, 0);
    source.sink('a')?.gap('recreated');
    message({ offset: 1 });
    hub.flush();
    expect(client.notices).toEqual(['sidestream.gap {"channel":"a","reason":"recreated"}']);
    expect([client.received, client.lastEventId]).toEqual([['f.1 1'], 'f.1']);
  });

  it('is given a cursor on a quiet channel that is not behind its own', async () => {
    const { client, source, pass } = await ahead();
    source.log.offset = 6;
    pass(20_000);
    expect(client.lastEventId).toBe('e.7');
    source.log.offset = 9;
    pass(20_000);
    expect(client.lastEventId).toBe('e.9');
  });

  it('is told a reset where nobody knows of such a position', async () => {
    const { connect, messages, settle, archive } = setUpStreamHub();
    messages(1, 5);
    const client = connect('e.6');
    await settle();
    expect(client.opened).toEqual([{ channel: 'a', resume: 'reset', reason: 'epoch', replayed: 5 }]);
    expect([archive.newestAsked, archive.asked]).toEqual([1, []]);
    expect(client.lastEventId).toBe('e.5');
  });
});

describe('the cursor of who reads one log', () => {
  it('moves on while the channel is quiet and its log is not, with nothing for anybody', async () => {
    const { connect, source, pass, settle } = setUpStreamHub();
    const client = connect();
    await settle();
    pass(20_000);
    expect(client.parser.comments).toHaveLength(1);
    source.log.offset = 50;
    pass(20_000);
    expect([client.notices, client.lastEventId]).toEqual([['sidestream.cursor '], 'e.50']);
    pass(20_000);
    expect([client.notices.length, client.parser.comments.length]).toEqual([1, 2]);
  });

  it('does not pass by what waits for the end of the turn', async () => {
    const { connect, message, pass, settle } = setUpStreamHub();
    const client = connect();
    await settle();
    message({ offset: 3 });
    pass(20_000);
    expect([client.received, client.lastEventId]).toEqual([['e.3 3'], 'e.3']);
  });

  it('is of the old log on what was published before the log began anew, in whatever turn', async () => {
    const { connect, message, source, hub, settle } = setUpStreamHub();
    const client = connect();
    await settle();
    message({ offset: 3 });
    source.log.begin('f', 0, 0);
    source.sink('a')?.gap('recreated');
    hub.flush();
    expect(client.parser.events.map(({ event, id }) => `${event} ${id}`)).toEqual([
      'sidestream.open e.0',
      'message e.3',
      'sidestream.gap f.0',
    ]);
  });

  it('over several logs is of the old one as well on what was published before', async () => {
    const world = new World({
      history: { size: 10, ageMs: 60_000, bytes: 1_000_000 },
      historyBytes: 1_000_000,
      maxReplay: 10,
      lingerMs: 0,
      batchMs: 0,
    });
    const [replica] = world.replicas;
    const [stream] = world.streams;
    const [feed] = replica?.feeds ?? [];
    if (replica === undefined || stream === undefined || feed === undefined)
      throw new TypeError('one of each');
    const { clock } = world;
    const destination = (channel: string) => world.destination(channel);
    const served = { ...replica, clock, wheel: new TimerWheel(clock), destination };
    const client = new FakeClient(served, ['x-a', 'c-a'], undefined);
    await settle();
    world.publish('x.a', undefined);
    feed.feed(1);
    stream.recreate();
    feed.feed(1);
    await settle();
    expect(client.received).toEqual([expect.stringMatching(/^x1\.\d+_corep\.\d+ x-a:/)]);
    expect(client.lastEventId).toMatch(/^x2\.0_corep\.\d+$/);
  });

  it('covers a message only together with the gap that came with it', async () => {
    const { connect, message, source, hub, settle } = setUpStreamHub();
    const client = connect();
    await settle();
    message({ offset: 3 });
    source.sink('a')?.gap('too-old');
    hub.flush();
    expect(client.parser.events.map(({ event, id }) => `${event} ${id}`)).toEqual([
      'sidestream.open e.0',
      'message e.0',
      'sidestream.gap e.3',
    ]);
  });

  it('covers a message of two of its channels only with the second', async () => {
    const { connect, message, hub, settle } = setUpStreamHub();
    const [both, one] = [connect(undefined, ['b', 'a']), connect()];
    await settle();
    message({ offset: 3 }, 'a', 'b');
    hub.flush();
    expect(both.received).toEqual(['e.0 3', 'e.3 3']);
    expect(one.received).toEqual(['e.3 3']);
    const back = connect('e.0', ['b', 'a']);
    await settle();
    expect(back.received).toEqual(['e.2 3', 'e.3 3']);
  });
});

describe('combinations of logs', () => {
  it('are the same object for the same logs, whatever the order of the channels', () => {
    const { hub, destination } = setUpStreamHub();
    expect(hub.logsOf([destination('a'), destination('b')])).toBe(hub.logsOf([destination('b')]));
  });
});

it('a subscriber without a view is given what all are given', () => {
  const { logs, frame } = setUp();
  const batch = makeBatch([frame(logs[0], 1)]);
  expect(new Views().seen(new FakeSubscriber(), batch, () => 0)).toBe(batch);
});
