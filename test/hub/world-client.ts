import { Connection } from '../../src/http/connection.ts';
import { openStream } from '../../src/http/subscribe.ts';
import type { Opened } from '../../src/hub/recovery.ts';
import { parseCursor } from '../../src/protocol/cursor.ts';
import { FakeResponse } from '../http/fake-response.ts';
import { EventStreamParser, type ReceivedEvent } from '../support/event-stream.ts';
import { CHANNELS, type Replica, type World } from './world.ts';
import { ChannelRecord } from './world-record.ts';

/** What tells that a stream was put on channels, and taken off some. */
const PUT = 'event: sidestream.subscribed';
const TAKEN = 'event: sidestream.unsubscribed';

/** One stream of a client, to its end. */
interface Attempt {
  readonly replica: Replica;
  readonly channels: readonly string[];
  readonly cursor: string;
  readonly res: FakeResponse;
  readonly connection: Connection;
  /** By channel: what was so as the client was greeted. */
  joined: Map<string, Joined> | undefined;
  /** By channel, the newest message up to where its log stood as the stream was put on channels or taken off some; of each such time. */
  readonly changes: ReadonlyMap<string, number>[];
  /** Where in what was sent the next of these is looked for. */
  looked: number;
}

interface Replay {
  readonly channels: readonly string[];
  readonly events: ReceivedEvent[];
  readonly idBefore: string;
  left: number;
}

/** What the client is in the middle of, as it reads a stream. */
interface Reading {
  readonly attempt: Attempt;
  /** All that it had as its last id: the newest does not tell of a log that it has left. */
  readonly ids: readonly string[];
  readonly on: Set<string>;
  /** Of the last time that it was put on channels: what of their replay is still to come. */
  replay: Replay | undefined;
  changes: number;
}

interface Joined {
  /** The newest message that lies up to where the channel's log stood. */
  readonly serial: number;
  /** The newest one up to the position that the client brought, if it brought one of that log. */
  readonly broughtSerial: number | undefined;
  /** Whether a gap is no wonder. */
  readonly isExcused: boolean;
}

/** How much of what was sent never arrives. */
export interface Cut {
  readonly blocks: number;
  readonly bytes: number;
}

/** What came up, to see that a run was worth something. */
export type Tally = Record<
  | 'live'
  | 'recovered'
  | 'replayed'
  | 'gap'
  | 'reset'
  | 'ahead'
  | 'cut'
  | 'put'
  | 'putReplayed'
  | 'putAhead'
  | 'putCut'
  | 'taken',
  number
>;

/** A browser: it keeps what it received, and comes back with the last id, whatever it was cut off in the middle of. */
export class Client {
  readonly #world: World;
  readonly #tally: Tally;
  readonly #records = new Map<string, ChannelRecord>();
  /** Channels of the last stream that was opened; before, there is none. */
  #known: readonly string[] = [];
  #lastEventId = '';
  #attempt: Attempt | undefined;

  constructor(world: World, tally: Tally) {
    this.#world = world;
    this.#tally = tally;
  }

  get isConnected(): boolean {
    return this.#attempt !== undefined;
  }

  /** Has its stream put on more channels, from outside. */
  put(channels: readonly string[]): void {
    if (this.#attempt === undefined) return;
    const { replica, connection } = this.#attempt;
    if (connection.view?.ahead !== undefined) this.#tally.putAhead += 1;
    const destinations = channels.map((channel) => this.#world.destination(channel));
    void replica.acts.subscribe(connection, destinations, { isVouched: false });
  }

  /** Has its stream taken off channels. */
  takeOff(channels: readonly string[]): void {
    if (this.#attempt === undefined) return;
    void this.#attempt.replica.acts.unsubscribe(this.#attempt.connection, channels);
  }

  connect(replica: Replica, channels: readonly string[]): void {
    if (this.#attempt !== undefined) return;
    const res = new FakeResponse();
    const client = { address: '192.0.2.1', identity: undefined };
    const connection = new Connection(res.asResponse, client, replica.context);
    const cursor = this.#lastEventId;
    this.#attempt = {
      replica,
      channels,
      cursor,
      res,
      connection,
      joined: undefined,
      changes: [],
      looked: 0,
    };
    const destinations = channels.map((channel) => this.#world.destination(channel));
    const positions = cursor === '' ? undefined : parseCursor(cursor);
    if (cursor !== '' && positions === undefined) throw new Error(`a cursor of ours is refused: ${cursor}`);
    res.handle(() =>
      openStream(connection, res.asResponse, replica.context, {
        destinations,
        cursor: positions,
        mediaType: 'text/event-stream',
        headers: [],
      }),
    );
    this.notice();
  }

  /** Takes note of the moment of being greeted, or of a change; to be called before anything else is passed on. */
  notice(): void {
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    if (attempt.joined === undefined) this.#noticeGreeting(attempt);
    const { res, changes, replica } = attempt;
    const { bytes } = res;
    for (;;) {
      const found = [PUT, TAKEN].map((told) => bytes.indexOf(told, attempt.looked)).filter((at) => at >= 0);
      if (found.length === 0) return;
      attempt.looked = Math.min(...found) + 1;
      changes.push(new Map(CHANNELS.map((channel) => [channel, this.#serial(replica, channel)])));
    }
  }

  #noticeGreeting(attempt: Attempt): void {
    if (!attempt.res.bytes.includes('sidestream.open')) return;
    if (attempt.connection.view?.ahead !== undefined) this.#tally.ahead += 1;
    attempt.joined = new Map(attempt.channels.map((channel) => [channel, this.#joined(attempt, channel)]));
  }

  /** Loses the connection, and of what was sent so far the end: so many blocks, but for the first bytes of the first. */
  drop({ blocks, bytes: more }: Cut): void {
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    this.#attempt = undefined;
    const { bytes } = attempt.res;
    let end = bytes.length;
    for (let i = 0; i < blocks && end > 0; i += 1) end = bytes.lastIndexOf('\n\n', end - 3) + 2;
    end = Math.min(bytes.length, end < 2 ? more : end + more);
    if (end < bytes.length) this.#tally.cut += 1;
    attempt.res.becomeAborted();
    const parser = new EventStreamParser();
    parser.push(bytes.subarray(0, end));
    if (parser.lastEventId !== '') this.#lastEventId = parser.lastEventId;
    const ids = [...parser.events.map(({ id }) => id), this.#lastEventId];
    const reading: Reading = { attempt, ids, on: new Set(), replay: undefined, changes: 0 };
    for (const event of parser.events) this.#take(reading, event);
    this.#endReplay(reading);
  }

  // A position is of all that one message brings: whoever has only a part of it gets that once more, with the rest.
  #isPart({ on, ids }: Reading, { data }: ReceivedEvent): boolean {
    const [channel = '', serial] = data.split(':');
    const other = channel.replace(/^[xy]/, (kind) => (kind === 'x' ? 'y' : 'x'));
    const isShared = other !== channel && on.has(other);
    // Beside a channel that holds something back, the cursor stays behind what others bring; or goes back there as that is added.
    const mayLag = this.#world.conditions.batchMs > 0;
    if (!isShared && !mayLag && !this.#world.replacing.has(Number(serial))) return false;
    for (const id of ids.toReversed()) {
      const covered = this.#world.coveredBy(id, channel);
      if (covered !== undefined) return covered < Number(serial);
    }
    return true;
  }

  /** @throws AssertionError where something was doubled, out of order, or missed without a word, up to now */
  check(channels: readonly string[]): void {
    for (const channel of channels) this.#record(channel).checkComplete();
  }

  #take(reading: Reading, received: ReceivedEvent): void {
    const { event, data } = received;
    const { attempt, on, replay } = reading;
    if (event === 'sidestream.open') {
      for (const channel of attempt.channels) on.add(channel);
      this.#forget(attempt);
      this.#opened(attempt, JSON.parse(data).channels);
    } else if (event === 'sidestream.subscribed') this.#put(reading, JSON.parse(data).channels, received.id);
    else if (event === 'sidestream.unsubscribed') this.#takenOff(reading, JSON.parse(data).channels);
    else if (event === 'sidestream.gap') this.#record(JSON.parse(data).channel).gap();
    else if (event === 'message' && replay !== undefined && replay.left > 0) {
      replay.left -= 1;
      replay.events.push(received);
      if (replay.left === 0) this.#endReplay(reading);
    } else if (event === 'message') this.#event(reading, received);
    if (/open|subscribed/.test(event)) this.#goBack(reading, received);
  }

  // A stream that is on no channel of a log leaves its position out of the cursor: what it had of it may come again.
  #forget({ replica, channels }: Attempt): void {
    const logOf = (channel: string) => replica.source(this.#world.destination(channel).route).log;
    const logs = new Set(channels.map(logOf));
    for (const [channel, record] of this.#records) if (!logs.has(logOf(channel))) record.back(0);
  }

  // A channel that holds something back takes the cursor with it as it is added.
  #goBack({ on }: Reading, { id }: ReceivedEvent): void {
    if (this.#world.conditions.batchMs === 0) return;
    for (const channel of on) this.#record(channel).back(this.#world.coveredBy(id, channel) ?? Infinity);
  }

  #event(reading: Reading, received: ReceivedEvent): void {
    if (this.#isPart(reading, received)) return;
    const { on } = reading;
    const { data } = received;
    const [channel = '', serial] = data.split(':');
    if (!on.has(channel)) throw new Error(`${data} is of a channel that it is not on`);
    this.#record(channel).event(Number(serial));
  }

  #put(reading: Reading, opened: readonly Opened[], id: string): void {
    const { on, attempt } = reading;
    this.#endReplay(reading);
    const serials = attempt.changes[reading.changes];
    reading.changes += 1;
    let left = 0;
    for (const { channel, resume, replayed } of opened) {
      if (on.has(channel)) throw new Error(`${channel}: put on it twice`);
      if (resume !== 'live') throw new Error(`${channel}: ${resume} without a cursor`);
      on.add(channel);
      left += replayed;
      const serial = serials?.get(channel) ?? 0;
      this.#tally.put += 1;
      // What it had when it was on it before may come again.
      this.#record(channel).reset(serial);
      if (replayed === 0) this.#record(channel).join(serial, serial);
    }
    if (left > 0) this.#tally.putReplayed += 1;
    this.#known = [...on];
    reading.replay = { channels: opened.map(({ channel }) => channel), events: [], idBefore: id, left };
  }

  /** What is replayed has come; or it was cut off in the middle of that, and has none of it: it comes again, or the act must. */
  #endReplay(reading: Reading): void {
    const { replay, on } = reading;
    reading.replay = undefined;
    if (replay === undefined) return;
    if (replay.left === 0) for (const event of replay.events) this.#event(reading, event);
    else {
      this.#tally.putCut += 1;
      if (replay.events.some(({ id }) => id !== replay.idBefore))
        throw new Error('a cursor passes what is still to be replayed');
      this.#known = [...on].filter((channel) => !replay.channels.includes(channel));
    }
  }

  #takenOff(reading: Reading, channels: readonly string[]): void {
    const { on, attempt } = reading;
    this.#endReplay(reading);
    const serials = attempt.changes[reading.changes];
    reading.changes += 1;
    for (const channel of channels) {
      if (!on.delete(channel)) throw new Error(`${channel}: taken off, but was not on it`);
      this.#tally.taken += 1;
      const record = this.#record(channel);
      // What core NATS lost while it was not there is told when it is there again; and what came ahead of the cursor does not count.
      if (!channel.startsWith('c') && this.#world.conditions.batchMs === 0)
        record.checkComplete(serials?.get(channel));
      record.gap();
    }
    this.#known = [...on];
  }

  #opened(attempt: Attempt, opened: readonly Opened[]): void {
    for (const found of opened) this.#verdict(attempt, found);
    this.#known = attempt.channels;
  }

  #verdict({ cursor, joined, channels, replica }: Attempt, { channel, resume, replayed }: Opened): void {
    const record = this.#record(channel);
    const { serial = 0, broughtSerial, isExcused } = joined?.get(channel) ?? {};
    this.#tally[resume] += 1;
    if (resume === 'recovered') this.#tally.replayed += replayed;
    if (resume === 'live') record.join(replayed > 0 ? undefined : serial, serial);
    else if (resume === 'reset') {
      record.reset(serial);
      // One position is of all channels of a log: those that it is not on now have lost theirs with it.
      const { route } = this.#world.destination(channel);
      for (const [other, its] of this.#records) {
        const shares = replica.source(this.#world.destination(other).route) === replica.source(route);
        if (shares && !channels.includes(other)) its.reset(serial);
      }
    } else if (broughtSerial === undefined) throw new Error(`${resume} without a position: ${cursor}`);
    else if (resume === 'recovered') {
      if (this.#known.includes(channel)) return;
      // What core NATS brought while nobody was fed has no position that the one it brought could be compared with.
      const { log } = replica.source(this.#world.destination(channel).route);
      record.join(log === replica.core.log ? undefined : broughtSerial, broughtSerial);
    } else if (!isExcused) throw new Error(`${channel}: a needless gap after ${cursor}`);
    else record.join(undefined, serial);
  }

  #joined({ replica, cursor }: Attempt, channel: string): Joined {
    const world = this.#world;
    const { log } = replica.source(world.destination(channel).route);
    const brought = parseCursor(cursor)?.find(({ epoch }) => epoch === log.epoch)?.offset;
    return {
      serial: this.#serial(replica, channel),
      broughtSerial: brought === undefined ? undefined : world.serialAt(replica, log, brought),
      isExcused: brought !== undefined && world.excuses(replica, channel, brought),
    };
  }

  /** The newest message that lies up to where a channel's log stands, before what the channel holds back. */
  #serial(replica: Replica, channel: string): number {
    const world = this.#world;
    const { log } = replica.source(world.destination(channel).route);
    if (log === replica.core.log) return world.serial;
    const heldAt = replica.hub.channels.get(channel)?.heldAt ?? Infinity;
    return world.serialAt(replica, log, Math.min(log.offset, heldAt - 1));
  }

  #record(channel: string): ChannelRecord {
    const known = this.#records.get(channel);
    if (known !== undefined) return known;
    const made = new ChannelRecord(channel, this.#world);
    this.#records.set(channel, made);
    return made;
  }
}
