import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Connection, type ConnectionContext } from '../../src/http/connection.ts';
import { openStream } from '../../src/http/subscribe.ts';
import { Waiting } from '../../src/http/waiting.ts';
import { parseCursor } from '../../src/protocol/cursor.ts';
import { type Arrival, setUpRoutes, turn } from '../hub/delivery-routes.ts';
import { contextOf } from '../hub/world.ts';
import { decode, NONE, RENDERINGS, type Received, type Way } from './decoding.ts';
import { FakeResponse } from './fake-response.ts';

const CHUNK_BYTES = 64 * 1024;
const HEARTBEAT_MS = 15_000;
const THROTTLE_MS = 1000;
const KEPT = { lingerMs: 10_000_000, history: { size: 1000, ageMs: 10_000_000, bytes: 10_000_000 } };
/** What this process counts, and a stream, by what becomes of those who are behind; and of what has to wait for its time. */
const ROUTES = {
  a: { log: 'core', ...KEPT },
  b: { log: 'core', slow: 'drop', ...KEPT },
  s: { log: 'stream', ...KEPT },
  d: { log: 'stream', slow: 'drop', ...KEPT },
  l: { log: 'stream', slow: 'latest', ...KEPT },
  t: { log: 'stream', throttleMs: THROTTLE_MS, ...KEPT },
} as const;
const MESSAGES = [['a-1'], ['b-1'], ['s-1'], ['d-1'], ['l-1'], ['t-1'], ['s-1', 'd-1'], ['l-1', 't-1']];
const SETS = [
  ['a-1'],
  ['b-1'],
  ['d-1', 's-1'],
  ['l-1', 'd-1'],
  ['t-1', 's-1', 'l-1'],
  ['a-1', 'd-1', 't-1', 'b-1'],
];

const named = <K extends string, T extends object>(
  weight: number,
  kind: K,
  more: { [P in keyof T]: fc.Arbitrary<T[P]> },
) => ({ weight, arbitrary: fc.record<T>(more).map((drawn) => ({ kind, ...drawn })) });

const step = fc.oneof(
  named(16, 'publish', {
    channels: fc.constantFrom(...MESSAGES),
    count: fc.constantFrom(1, 1, 3),
    size: fc.constantFrom(1, 20, 300, 700, 700),
    key: fc.constantFrom('k', 'l'),
    priority: fc.constantFrom(0, 0, 0, 1, 2) as fc.Arbitrary<0 | 1 | 2>,
  }),
  named(8, 'flush', {}),
  named(5, 'writable', {}),
  named(8, 'answer', { answers: fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }) }),
  named(4, 'answer', { answers: fc.constant([false, false, true, false]) }),
  named(3, 'pass', { ms: fc.constantFrom(10, THROTTLE_MS, THROTTLE_MS, HEARTBEAT_MS) }),
  named(1, 'return', { cut: fc.constantFrom(0, 0, 1, 10, 300) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** One stream of a client, and what it is owed. */
interface Stream {
  readonly res: FakeResponse;
  readonly connection: Connection;
  readonly owed: Arrival[];
}

/** A browser on some channels, that comes back wherever it was cut off. */
class Model {
  readonly real = setUpRoutes(ROUTES);
  readonly tally = { written: 0, dropped: 0, superseded: 0, returned: 0, behind: 0 };
  readonly #way: Way;
  readonly #channels: readonly string[];
  readonly #context: ConnectionContext;
  #stream: Stream;
  #published = 0;
  /** About what was published since the last flush, and the most that ever was at once, in bytes. */
  #turnBytes = 0;
  #largestTurnBytes = 0;

  constructor(way: Way, channels: readonly string[], pendingBytes: number) {
    this.#way = way;
    this.#channels = channels;
    const { clock, wheel, hub, metrics, onArrival } = this.real;
    const base = contextOf(clock, wheel, hub, metrics);
    const limits = { ...base.limits, pendingBytes };
    this.#context = { ...base, waiting: new Waiting(Infinity, metrics), limits };
    onArrival((arrival) => {
      if (channels.includes(arrival.channel)) this.#owe(arrival);
    });
    this.#stream = this.#open('');
  }

  async run(step: Step): Promise<void> {
    if (step.kind === 'return') await this.#return(step.cut);
    else this.#act(step);
    if (step.kind !== 'publish') this.#turnBytes = 0;
    this.#checkBound();
    this.tally.behind += Number(this.#stream.res.isFull);
    if (!this.#stream.connection.isOpen) await this.#return(0);
  }

  #act(step: Exclude<Step, { kind: 'return' }>): void {
    const { hub, pass } = this.real;
    const { res } = this.#stream;
    if (step.kind === 'publish') this.#publish(step);
    else if (step.kind === 'flush') hub.flush();
    else if (step.kind === 'writable') res.becomeWritable();
    else if (step.kind === 'answer') res.answer(...step.answers);
    else pass(step.ms);
  }

  #owe(arrival: Arrival): void {
    this.#stream.owed.push(arrival);
    this.#turnBytes += eventBytes(arrival);
    this.#largestTurnBytes = Math.max(this.#largestTurnBytes, this.#turnBytes);
  }

  /** No more waits than may, but for what is left of the turn in which the reader fell behind. */
  #checkBound(): void {
    const { isOpen, waitingBytes } = this.#stream.connection;
    const boundBytes = this.#context.limits.pendingBytes + this.#largestTurnBytes;
    if (isOpen) expect(waitingBytes).toBeLessThanOrEqual(boundBytes);
  }

  #publish({ channels, count, size, key, priority }: Extract<Step, { kind: 'publish' }>): void {
    for (let i = 0; i < count; i += 1) {
      this.#published += 1;
      this.real.publish(channels, `${this.#published} ${'.'.repeat(size)}`, { key, priority });
    }
  }

  #open(cursor: string): Stream {
    const positions = parseCursor(cursor);
    const { arrivals, destination } = this.real;
    const isMissed = ({ channel, log, offset }: Arrival) =>
      this.#channels.includes(channel) && offset > (positionIn(cursor, log.epoch) ?? Infinity);
    const res = new FakeResponse();
    const client = { address: '192.0.2.1', identity: undefined };
    const connection = new Connection(res.asResponse, client, this.#context, this.#way.rendering);
    const options = {
      destinations: this.#channels.map(destination),
      cursor: positions,
      mediaType: 'text/event-stream',
      headers: [],
    };
    const index = ({ channel }: Arrival) => this.#channels.indexOf(channel);
    const owed = arrivals.filter(isMissed).sort((a, b) => a.offset - b.offset || index(a) - index(b));
    const replayBytes = owed.reduce((sum, one) => sum + eventBytes(one), 0);
    this.#largestTurnBytes = Math.max(this.#largestTurnBytes, replayBytes);
    res.handle(() => openStream(connection, res.asResponse, this.#context, options));
    return { res, connection, owed };
  }

  /** The client loses the last bytes that were on their way, and comes back with the cursor that it has. */
  async #return(cut: number): Promise<void> {
    const { res } = this.#stream;
    const got = res.bytes.subarray(0, Math.max(0, res.bytes.length - cut));
    this.#count(this.#check(decode(this.#way, res.bytes, false)));
    const cursor = decode(this.#way, got, false).at(-1)?.id ?? '';
    res.becomeAborted();
    this.#expectNothingHeld();
    this.tally.returned += 1;
    this.#stream = this.#open(cursor);
    for (let i = 0; i < 4; i += 1) await turn();
  }

  #expectNothingHeld(): void {
    const { pendingBytes, pendingMemoryBytes, slowConnections } = this.real.metrics;
    expect([pendingBytes, pendingMemoryBytes, slowConnections]).toEqual([0, 0, 0]);
  }

  /** What a client has at any moment: everything once, in order, and no cursor beyond it. */
  #check(events: readonly Received[]): Reading {
    const { owed, res } = this.#stream;
    for (const { length } of res.chunks) expect(length).toBeLessThanOrEqual(CHUNK_BYTES);
    const reading = new Reading(owed);
    for (const event of events) reading.take(event);
    return reading;
  }

  /** The reader takes all there is; then it has everything, and after a heartbeat its cursor says so. */
  end(): void {
    const { hub, pass } = this.real;
    this.#drain();
    pass(THROTTLE_MS);
    hub.flush();
    this.#drain();
    this.#overtake();
    for (let i = 0; i < 2; i += 1) pass(HEARTBEAT_MS);
    const { connection, res, owed } = this.#stream;
    expect(connection.isOpen).toBe(true);
    const last = decode(this.#way, res.bytes, false).at(-1)?.id ?? '';
    for (const { log, offset, data } of owed)
      expect(positionIn(last, log.epoch), `cursor behind ${data}`).toBeGreaterThanOrEqual(offset);
    connection.close('draining');
    const events = decode(this.#way, res.bytes, true);
    expect(events.findLast(({ event }) => event !== NONE)?.event).toBe('sidestream.close');
    const reading = this.#check(events);
    reading.expectAll();
    this.#count(reading);
    this.#expectNothingHeld();
  }

  #count(reading: Reading): void {
    this.tally.written += reading.written.size;
    this.tally.dropped += reading.told('sidestream.gap');
    this.tally.superseded += reading.told('sidestream.skipped');
  }

  /** The last that it is given has overtaken others, so that no event brings the cursor all the way. */
  #overtake(): void {
    const { res, connection } = this.#stream;
    res.answer(false);
    for (const [i, priority] of ([0, 0, 1, 0, 2] as const).entries()) {
      for (const channel of this.#channels)
        if (channel !== 't-1') this.real.publish([channel], `last ${i}`, { priority, key: `${i}` });
      if (connection.waitingBytes < this.#context.limits.pendingBytes / 2) this.real.hub.flush();
    }
    this.real.hub.flush();
    this.#drain();
  }

  #drain(): void {
    const { res } = this.#stream;
    res.answer();
    res.becomeWritable();
    expect(res.isFull).toBe(false);
  }
}

/** A client's events one by one, beside what it is owed. */
class Reading {
  /** Data of what has come. */
  readonly written = new Set<string>();
  readonly #owed: readonly Arrival[];
  readonly #places: ReadonlyMap<string, number>;
  readonly #told = new Map<string, number>();
  /** By log and priority: the place of the last that has come. */
  readonly #last = new Map<string, number>();
  #cursor = '';

  constructor(owed: readonly Arrival[]) {
    this.#owed = owed;
    this.#places = new Map(owed.map(({ data }, place) => [data, place]));
  }

  take({ event, data, id }: Received): void {
    if (event === 'message') this.#takeOwed(data);
    if (event === 'sidestream.gap' || event === 'sidestream.skipped') this.#takeTold(event, data);
    if (event === 'sidestream.open') expect(data).not.toMatch(/"(gap|reset)"/);
    if (id === this.#cursor) return;
    this.#cursor = id;
    this.#checkCursor();
  }

  #takeOwed(data: string): void {
    const place = this.#places.get(data);
    const arrival = this.#owed[place ?? -1];
    if (place === undefined || arrival === undefined) throw new Error(`${data} is not owed`);
    expect(this.written.has(data), `${data} comes twice`).toBe(false);
    this.written.add(data);
    // A later value takes the place of the one before.
    if (policyOf(arrival) === 'latest') return;
    const line = `${arrival.log.epoch} ${arrival.priority}`;
    expect(place, `${data} is late`).toBeGreaterThan(this.#last.get(line) ?? -1);
    this.#last.set(line, place);
  }

  #takeTold(event: string, data: string): void {
    const { channel, skipped } = JSON.parse(data) as { channel: string; skipped: number };
    const key = `${event} ${channel}`;
    this.#told.set(key, (this.#told.get(key) ?? 0) + skipped);
  }

  /** How many it was told that it was spared; of one channel or of all. */
  told(event: string, channel = ''): number {
    let sum = 0;
    for (const [key, count] of this.#told) if (key.startsWith(`${event} ${channel}`)) sum += count;
    return sum;
  }

  /** Who is cut off here, and comes back, misses nothing but what it was told, and values that have been replaced. */
  #checkCursor(): void {
    const missing = this.#owed.filter(
      ({ log, offset, data }) =>
        offset <= (positionIn(this.#cursor, log.epoch) ?? 0) && !this.written.has(data),
    );
    this.#checkMissing(missing, ({ log, offset }) => offset > (positionIn(this.#cursor, log.epoch) ?? 0));
  }

  /** `isToCome`: what comes after a reconnection. */
  #checkMissing(missing: readonly Arrival[], isToCome: (arrival: Arrival) => boolean): void {
    const dropped = new Map<string, number>();
    for (const one of missing) {
      const policy = policyOf(one);
      if (policy === 'drop') dropped.set(one.channel, (dropped.get(one.channel) ?? 0) + 1);
      else if (policy === 'latest') expect(this.#isReplaced(one, isToCome), `${one.data} is lost`).toBe(true);
      else throw new Error(`${one.data} is lost at ${this.#cursor}`);
    }
    for (const [channel, count] of dropped)
      expect(this.told('sidestream.gap', channel), `${channel}: told`).toBeGreaterThanOrEqual(count);
  }

  #isReplaced(one: Arrival, isToCome: (arrival: Arrival) => boolean): boolean {
    const place = this.#owed.indexOf(one);
    return this.#owed
      .slice(place + 1)
      .some(
        (other) =>
          other.channel === one.channel &&
          other.key === one.key &&
          (this.written.has(other.data) || isToCome(other)),
      );
  }

  /** Nothing waits any more: what has not come is told, to the number. */
  expectAll(): void {
    const missing = this.#owed.filter(({ data }) => !this.written.has(data));
    this.#checkMissing(missing, () => false);
    for (const [event, policy] of [
      ['sidestream.gap', 'drop'],
      ['sidestream.skipped', 'latest'],
    ] as const)
      expect(this.told(event), event).toBe(missing.filter((one) => policyOf(one) === policy).length);
  }
}

/** Its data, and about what an event takes besides, in bytes. */
function eventBytes({ data }: Arrival): number {
  return data.length + 60;
}

function policyOf({ channel }: Arrival): 'close' | 'drop' | 'latest' {
  if (channel === 'l-1') return 'latest';
  return channel === 'b-1' || channel === 'd-1' ? 'drop' : 'close';
}

function positionIn(cursor: string, epoch: string | undefined): number | undefined {
  return parseCursor(cursor)?.find((position) => position.epoch === epoch)?.offset;
}

it('whatever its socket does, a client has everything once and in order, or is told, and comes back with a cursor that covers no more, in every rendering', async () => {
  const tally = { written: 0, dropped: 0, superseded: 0, returned: 0, behind: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...RENDERINGS),
      fc.constantFrom(...SETS),
      fc.constantFrom(300, 1000, 3000, 100_000),
      fc.array(step, { minLength: 10, maxLength: 80, size: 'max' }),
      async (way, channels, pendingBytes, steps) => {
        const model = new Model(way, channels, pendingBytes);
        for (const step of steps) await model.run(step);
        model.end();
        for (const key of Object.keys(tally) as (keyof typeof tally)[]) tally[key] += model.tally[key];
      },
    ),
    { numRuns: 300 },
  );
  // The property says something only where everything came up often.
  expect(Math.min(...Object.values(tally)), JSON.stringify(tally)).toBeGreaterThan(10);
});
