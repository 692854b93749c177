import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Channel, Subscriber } from '../../src/hub/channel.ts';
import type { View } from '../../src/hub/log.ts';
import type { Batch } from '../../src/protocol/batch.ts';
import { parseCursor } from '../../src/protocol/cursor.ts';
import type { ManualClock } from '../support/clock.ts';
import { EventStreamParser } from '../support/event-stream.ts';
import { type Arrival, setUpRoutes, turn } from './delivery-routes.ts';

const THROTTLE_MS = 300;
const READERS = 20;
/** More than a channel may have to be among the first. */
const CROWD = 270;
/** By which one that begins may be ahead of the stream. */
const AHEAD = 4;

// `a`, `b`: what this process counts. `s`, `u`: a stream, all of it. `t`: of the same stream, what is left of it when it is throttled.
const SETS = [
  ['a-1'],
  ['a-1'],
  ['b-1', 'a-1'],
  ['s-1'],
  ['s-1', 't-1'],
  ['s-1', 'a-1', 't-1'],
  ['u-1', 'b-1'],
];
const PUBLISHED = [['a-1'], ['b-1'], ['s-1'], ['u-1'], ['t-1'], ['s-1', 't-1'], ['s-1', 'u-1']];

const reader = fc.nat({ max: READERS - 1 });
const named = <K extends string, T extends object>(
  weight: number,
  kind: K,
  more: { [P in keyof T]: fc.Arbitrary<T[P]> },
) => ({ weight, arbitrary: fc.record<T>(more).map((drawn) => ({ kind, ...drawn })) });
const costMs = fc.constantFrom(0, 0.1, 0.5, 1, 4);

const step = fc.oneof(
  named(9, 'publish', {
    channels: fc.constantFrom(...PUBLISHED),
    count: fc.constantFrom(1, 1, 2, 5),
    key: fc.constantFrom('k', 'l'),
  }),
  named(4, 'join', { reader, channels: fc.constantFrom(...SETS), ahead: fc.nat({ max: AHEAD }), costMs }),
  named(1, 'leave', { reader, isGivenAll: fc.boolean() }),
  named(2, 'catchUp', { reader }),
  named(1, 'flush', {}),
  named(8, 'turn', { count: fc.constantFrom(1, 1, 2, 10) }),
  named(3, 'pass', { ms: fc.constantFrom(1, THROTTLE_MS / 2, THROTTLE_MS * 2) }),
  named(1, 'gap', { channel: fc.constantFrom('a-1', 's-1') }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Takes a while over each batch, and reads it as a browser does. */
class Reader implements Subscriber {
  readonly channels: Channel[] = [];
  turn = 0;
  view: View | undefined;
  readonly parser = new EventStreamParser();
  /** What it is to have, in order. */
  readonly owed: Arrival[] = [];
  /** What the client had of the stream before it came. */
  readonly ahead: number;
  readonly asked: readonly string[];
  /** Cursors that it was told between events, and behind how many. */
  readonly told: { readonly cursor: string; readonly behind: number }[] = [];
  readonly #clock: ManualClock;
  readonly #costMs: number;

  constructor(clock: ManualClock, costMs: number, asked: readonly string[], ahead: number) {
    this.#clock = clock;
    this.#costMs = costMs;
    this.asked = asked;
    this.ahead = ahead;
  }

  deliver(batch: Batch): void {
    this.#clock.advance(this.#costMs);
    expect(batch.parts.length).toBeGreaterThan(0);
    for (const part of batch.parts) this.parser.push(part);
    const apart = batch.frames.map(({ bytes }) => Buffer.from(bytes).toString('latin1')).join('');
    expect(Buffer.concat(batch.parts).toString('latin1'), 'parts and frames are the same').toBe(apart);
    expect(batch.ends.at(-1)).toBe(batch.frames.length);
  }

  /** What it has got was owed, in that order, and nothing is missing between. */
  check(): void {
    const { events } = this.parser;
    const data = this.owed.slice(0, events.length).map((arrival) => arrival.data);
    expect(events.map((event) => event.data)).toEqual(data);
    for (const [i, { id }] of events.entries()) {
      this.#checkCursor(id, i + 1);
      if (!this.asked.includes('t-1')) this.#checkProgress(id, i);
    }
    for (const { cursor, behind } of this.told) this.#checkCursor(cursor, behind);
  }

  /** Where nothing is held back, each event brings the cursor as far as it is itself; of one message, the last. */
  #checkProgress(cursor: string, i: number): void {
    const [event, next] = [this.owed[i], this.owed[i + 1]];
    if (event === undefined || event.offset === Infinity || next?.offset === Infinity) return;
    if (next?.log === event.log && next.offset === event.offset) return;
    const covered = parseCursor(cursor)?.find(({ epoch }) => epoch === event.log.epoch)?.offset;
    expect(covered, `of ${event.log.epoch} with ${event.data}`).toBe(event.offset);
  }

  /** A cursor covers nothing that comes behind it: whoever is cut off here and comes back would never have it. */
  #checkCursor(cursor: string, behind: number): void {
    const positions = parseCursor(cursor) ?? [];
    for (const { log, offset, data } of this.owed.slice(behind)) {
      const covered = positions.find(({ epoch }) => epoch === log.epoch)?.offset ?? 0;
      expect(covered, `of ${log.epoch} before ${data} has come`).toBeLessThan(offset);
    }
  }
}

/** One of very many: what it has got, as it came. */
class OneOfTheCrowd implements Subscriber {
  readonly channels: Channel[] = [];
  turn = 0;
  view: View | undefined;
  text = '';
  readonly #clock: ManualClock;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  deliver({ frames }: Batch): void {
    this.#clock.advance(0.5);
    for (const { bytes } of frames) this.text += Buffer.from(bytes).toString('latin1');
  }
}

class Model {
  readonly real = setUpRoutes({
    a: { log: 'core' },
    b: { log: 'core' },
    s: { log: 'stream' },
    u: { log: 'stream' },
    t: { log: 'stream', throttleMs: THROTTLE_MS },
  });
  readonly #readers: (Reader | undefined)[] = Array.from({ length: READERS }, () => undefined);
  readonly #crowd: readonly OneOfTheCrowd[];
  readonly #channels = new Set<Channel>();
  #published = 0;
  events = 0;

  constructor(size: number) {
    const { clock, hub, destination, onArrival } = this.real;
    this.#crowd = Array.from({ length: size }, () => new OneOfTheCrowd(clock));
    for (const one of this.#crowd) this.#channels.add(hub.subscribe(one, destination('a-1')));
    onArrival((arrival) => {
      for (const reader of this.#readers)
        if (reader?.asked.includes(arrival.channel)) this.#owe(reader, arrival);
    });
  }

  async run(step: Step): Promise<void> {
    if (step.kind === 'turn') for (let i = 0; i < step.count; i += 1) await turn();
    else this.#act(step);
  }

  #act(step: Exclude<Step, { kind: 'turn' }>): void {
    const { hub, pass } = this.real;
    if (step.kind === 'publish') this.#publish(step);
    else if (step.kind === 'join') this.#join(step);
    else if (step.kind === 'leave') this.#leave(step.reader, step.isGivenAll);
    else if (step.kind === 'catchUp') this.#catchUp(step.reader);
    else if (step.kind === 'flush') hub.flush();
    else if (step.kind === 'gap') this.#gap(step.channel);
    else pass(step.ms);
  }

  #owe(reader: Reader, arrival: Arrival): void {
    if (arrival.log.epoch === 'strm' && arrival.offset <= reader.ahead) return;
    reader.owed.push(arrival);
  }

  #publish({ channels, count, key }: Extract<Step, { kind: 'publish' }>): void {
    for (let i = 0; i < count; i += 1) {
      this.#published += 1;
      this.real.publish(channels, `${this.#published}`, { key });
    }
  }

  /** What it gets has no end in the shaping: it is told of at once. */
  #gap(name: string): void {
    const { sources, destination } = this.real;
    const { log } = destination(name).route.name === 'a' ? sources.core : sources.stream;
    const sink = (log === sources.core.log ? sources.core : sources.stream).sink(name);
    if (sink === undefined) return;
    sink.gap('too-large');
    const data = JSON.stringify({ channel: name, reason: 'too-large' });
    // What is missing of a stream it says itself to who comes back; here it is a step of its own.
    const offset = log === sources.core.log ? log.offset : Infinity;
    for (const reader of this.#readers)
      if (reader?.asked.includes(name))
        reader.owed.push({ channel: name, log, offset, data, key: undefined, priority: 0 });
  }

  #join({ reader: index, channels, ahead, costMs }: Extract<Step, { kind: 'join' }>): void {
    if (this.#readers[index] !== undefined) return;
    const { clock, hub, destination, sources } = this.real;
    const { log } = sources.stream;
    const logs = hub.logsOf(channels.map(destination));
    // What each replica holds back, and lets go of, is its own affair.
    const isAhead = ahead > 0 && logs.logs.includes(log);
    const reader = new Reader(clock, costMs, channels, isAhead ? log.offset + ahead : 0);
    for (const name of channels) this.#channels.add(hub.subscribe(reader, destination(name)));
    hub.recovery(reader, reader.channels, undefined);
    if (isAhead) reader.view = { logs, ahead: new Map([[log, log.offset + ahead]]) };
    hub.catchUp(reader);
    this.#readers[index] = reader;
    reader.told.push({ cursor: hub.cursor(reader), behind: 0 });
  }

  #catchUp(index: number): void {
    const reader = this.#readers[index];
    if (reader === undefined) return;
    const { hub } = this.real;
    hub.catchUp(reader);
    expect(reader.parser.events.length, 'it has everything now').toBe(reader.owed.length);
    reader.told.push({ cursor: hub.cursor(reader), behind: reader.owed.length });
  }

  #leave(index: number, isGivenAll: boolean): void {
    const reader = this.#readers[index];
    if (reader === undefined) return;
    if (isGivenAll) this.#catchUp(index);
    this.#readers[index] = undefined;
    for (const channel of [...reader.channels]) this.real.hub.unsubscribe(reader, channel);
    reader.check();
  }

  /** Nothing more comes: everybody gets everything by itself, and nothing is kept. */
  async end(): Promise<void> {
    const { pass, hub } = this.real;
    for (const channel of this.#channels) channel.release();
    for (let i = 0; i < 1000 && !this.#isQuiet; i += 1) await turn();
    expect(this.#isQuiet, 'it is quiet in the end').toBe(true);
    for (const reader of this.#readers) {
      expect(reader?.parser.events.length).toBe(reader?.owed.length);
      reader?.check();
      this.events += reader?.owed.length ?? 0;
    }
    const [first] = this.#crowd;
    for (const one of this.#crowd) expect(one.text).toBe(first?.text);
    const texts = this.real.arrivals.filter(({ channel }) => channel === 'a-1').map(({ data }) => data);
    const got = first?.text.match(/^data: (?!\{).*$/gm)?.map((line) => line.slice(6)) ?? [];
    if (first !== undefined) expect(got).toEqual(texts);
    pass(1);
    for (const reader of this.#readers) if (reader !== undefined) hub.cursor(reader);
  }

  get #isQuiet(): boolean {
    return [...this.#channels].every(
      ({ frames, sealed, joined }) => frames === undefined && sealed === undefined && joined === undefined,
    );
  }
}

it('each subscriber is given exactly what was published from its joining to its leaving, in order, whatever the slices, and no cursor passes what is still to come', async () => {
  let events = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(0, 0, 0, CROWD),
      fc.array(step, { maxLength: 60, size: 'max' }),
      async (crowd, steps) => {
        const model = new Model(crowd);
        for (const step of steps) await model.run(step);
        await model.end();
        events += model.events;
      },
    ),
    {
      numRuns: 250,
      examples: [
        // A notice at the very position of what was held back, behind another log's event.
        [
          0,
          [
            { kind: 'join', reader: 1, channels: ['s-1', 'a-1', 't-1'], ahead: 0, costMs: 0 },
            { kind: 'publish', channels: ['t-1'], count: 5, key: 'k' },
            { kind: 'turn', count: 1 },
            { kind: 'publish', channels: ['a-1'], count: 1, key: 'k' },
            { kind: 'gap', channel: 's-1' },
          ],
        ],
      ],
    },
  );
  expect(events).toBeGreaterThan(1000);
});
