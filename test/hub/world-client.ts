import { Connection } from '../../src/http/connection.ts';
import { openStream } from '../../src/http/subscribe.ts';
import type { Opened } from '../../src/hub/recovery.ts';
import { parseCursor } from '../../src/protocol/cursor.ts';
import { FakeResponse } from '../http/fake-response.ts';
import { EventStreamParser, type ReceivedEvent } from '../support/event-stream.ts';
import type { Replica, World } from './world.ts';
import { ChannelRecord } from './world-record.ts';

/** One stream of a client, to its end. */
interface Attempt {
  readonly replica: Replica;
  readonly channels: readonly string[];
  readonly cursor: string;
  readonly res: FakeResponse;
  readonly connection: Connection;
  /** By channel: what was so as the client was greeted. */
  joined: Map<string, Joined> | undefined;
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
export type Tally = Record<'live' | 'recovered' | 'replayed' | 'gap' | 'reset' | 'ahead' | 'cut', number>;

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

  connect(replica: Replica, channels: readonly string[]): void {
    if (this.#attempt !== undefined) return;
    const res = new FakeResponse();
    const client = { address: '192.0.2.1', identity: undefined };
    const connection = new Connection(res.asResponse, client, replica.context);
    const cursor = this.#lastEventId;
    this.#attempt = { replica, channels, cursor, res, connection, joined: undefined };
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

  /** Takes note of the moment of being greeted; to be called before anything else is passed on. */
  notice(): void {
    const attempt = this.#attempt;
    if (attempt === undefined || attempt.joined !== undefined) return;
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
    for (const event of parser.events) if (!this.#isPart(attempt, event)) this.#take(attempt, event);
  }

  // A position is of all that one message brings: whoever has only a part of it gets that once more, with the rest.
  #isPart({ channels }: Attempt, { event, data }: ReceivedEvent): boolean {
    if (event !== 'message') return false;
    const [channel = '', serial] = data.split(':');
    const other = channel.replace(/^[xy]/, (kind) => (kind === 'x' ? 'y' : 'x'));
    const isShared = other !== channel && channels.includes(other);
    if (!isShared && !this.#world.replacing.has(Number(serial))) return false;
    return !this.#world.isCovered(channel, Number(serial), this.#lastEventId);
  }

  /** @throws AssertionError where something was doubled, out of order, or missed without a word, up to now */
  check(channels: readonly string[]): void {
    for (const channel of channels) this.#record(channel).checkComplete();
  }

  #take(attempt: Attempt, { event, data }: ReceivedEvent): void {
    if (event === 'sidestream.open') this.#opened(attempt, JSON.parse(data).channels);
    else if (event === 'sidestream.gap') this.#record(JSON.parse(data).channel).gap();
    else if (event === 'message') {
      const [channel = '', serial] = data.split(':');
      this.#record(channel).event(Number(serial));
    }
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
      serial: log === replica.core.log ? world.serial : world.serialAt(replica, log, log.offset),
      broughtSerial: brought === undefined ? undefined : world.serialAt(replica, log, brought),
      isExcused: brought !== undefined && world.excuses(replica, channel, brought),
    };
  }

  #record(channel: string): ChannelRecord {
    const known = this.#records.get(channel);
    if (known !== undefined) return known;
    const made = new ChannelRecord(channel, this.#world);
    this.#records.set(channel, made);
    return made;
  }
}
