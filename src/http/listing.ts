import type { Clock } from '../clock.ts';
import type { Hub } from '../hub/hub.ts';
import { mostBytesOf, type Page } from '../hub/listing.ts';
import type { Walks } from '../hub/walks.ts';
import type { CodingName } from '../protocol/coding.ts';
import type { Transport } from './accept.ts';
import { Connection } from './connection.ts';
import type { Poll } from './poll.ts';
import type { Streams } from './streams.ts';

/** Which streams, and how many of them; what is absent does not matter. */
export interface StreamsWanted {
  /** The token's subject. */
  readonly user: string | undefined;
  readonly channel: string | undefined;
  /** The client's, as a whole. */
  readonly address: string | undefined;
  /** Only those that came later than the one with this number; 0: all. */
  readonly after: number;
  readonly limit: number;
  /** What they may take together as JSON, about; the first is given in any case. */
  readonly maxBytes: number;
}

/** An open stream, or a long poll that waits. Nothing of what its token says but the user. Times in milliseconds since the Unix epoch. */
export interface ListedStream {
  readonly connection: string;
  /** Its place in the order in which they came; from 1. */
  readonly ordinal: number;
  readonly user?: string;
  /** Absent where it is not kept. */
  readonly address?: string;
  readonly transport: Transport;
  /** Absent where it is not compressed. Of a poll it shows in its answer only. */
  readonly encoding?: CodingName;
  readonly channels: readonly string[];
  /** To the second. */
  readonly openedMs: number;
  /** When its token does. */
  readonly expiresMs?: number;
  /** What waits for a reader that is behind. */
  readonly waitingBytes: number;
}

/** The same with what only few ask for. */
export interface DescribedStream extends ListedStream {
  /** Of who has all that was given to it until now, what waits included. Absent of a poll, and before its first event. */
  readonly cursor?: string;
  /** Absent of a poll. */
  readonly lastWriteMs?: number;
  /** Absent while the reader keeps up. */
  readonly behindSinceMs?: number;
}

export interface StreamListingOptions {
  readonly streams: Streams;
  readonly hub: Hub;
  readonly clock: Clock;
  readonly walks: Walks;
}

/** The streams of this server, told to those who ask: a page at a time, and by {@link Walks}, so that what is live does not wait. */
export class StreamListing {
  readonly #options: StreamListingOptions;

  constructor(options: StreamListingOptions) {
    this.#options = options;
  }

  /** How many of each kind. */
  get counts(): Readonly<Record<Transport, number>> {
    const { connections, polls, ndjsonCount } = this.#options.streams;
    return { sse: connections.size - ndjsonCount, ndjson: ndjsonCount, poll: polls.size };
  }

  async list(wanted: StreamsWanted): Promise<Page<ListedStream>> {
    const { streams, walks } = this.#options;
    const list: ListedStream[] = [];
    let [bytes, more] = [0, false];
    await walks.through(inOrder(streams), (stream) => {
      if (!isWanted(stream, wanted)) return 'on';
      const record = listed(stream);
      bytes += mostBytesOf(record);
      more = list.length >= wanted.limit || (list.length > 0 && bytes > wanted.maxBytes);
      if (more) return 'enough';
      list.push(record);
      return 'on';
    });
    return { list, more };
  }

  async describe(connection: string): Promise<DescribedStream | undefined> {
    const { streams, walks } = this.#options;
    let found: Connection | Poll | undefined;
    await walks.through(inOrder(streams), (stream) => {
      if (stream.id !== connection) return 'on';
      found = stream;
      return 'enough';
    });
    return found?.isOpen === true ? this.#described(found) : undefined;
  }

  /** Everybody who has a stream open, each once. */
  async users(): Promise<ReadonlySet<string>> {
    const { streams, walks } = this.#options;
    const users = new Set<string>();
    await walks.through(inOrder(streams), ({ client }) => {
      const user = client.identity?.subject;
      if (user !== undefined) users.add(user);
      return 'on';
    });
    return users;
  }

  #described(stream: Connection | Poll): DescribedStream {
    const { hub, clock } = this.#options;
    if (!(stream instanceof Connection)) return listed(stream);
    // Otherwise its cursor would be of what it is only about to be given.
    hub.catchUp(stream);
    const cursor = stream.recovery === undefined ? hub.cursor(stream) : '';
    const { lastWriteMs, behindSinceMs } = stream;
    const startedMs = clock.wall() - clock.now();
    return {
      ...listed(stream),
      ...(cursor !== '' && { cursor }),
      lastWriteMs: startedMs + lastWriteMs,
      ...(behindSinceMs !== undefined && { behindSinceMs: startedMs + behindSinceMs }),
    };
  }
}

function isWanted(stream: Connection | Poll, { user, channel, address, after }: StreamsWanted): boolean {
  return (
    // It may have ended while others were looked at.
    stream.isOpen &&
    stream.ordinal > after &&
    (user === undefined || stream.client.identity?.subject === user) &&
    (address === undefined || stream.client.address === address) &&
    (channel === undefined || stream.channels.some(({ name }) => name === channel))
  );
}

function listed(stream: Connection | Poll): ListedStream {
  const { id, ordinal, client, channels, openedSeconds, waitingBytes } = stream;
  const { subject, expiresAtMs } = client.identity ?? {};
  const rendering = stream instanceof Connection ? stream.rendering : undefined;
  return {
    connection: id,
    ordinal,
    ...(subject !== undefined && { user: subject }),
    ...(client.address !== '' && { address: client.address }),
    transport: stream instanceof Connection ? (rendering?.format ?? 'sse') : 'poll',
    ...(rendering?.coding !== undefined && { encoding: rendering.coding }),
    channels: channels.map(({ name }) => name),
    openedMs: openedSeconds * 1000,
    ...(expiresAtMs !== undefined && { expiresMs: expiresAtMs }),
    waitingBytes,
  };
}

/** All that are there now, in the order in which they came. Those that come meanwhile are not waited for. */
function* inOrder({ connections, polls, lastOrdinal }: Streams): Generator<Connection | Poll> {
  const [ones, others] = [connections.values(), polls.values()];
  let [one, other] = [ones.next().value, others.next().value];
  while (one !== undefined || other !== undefined) {
    const isOne = other === undefined || (one !== undefined && one.ordinal < other.ordinal);
    const first = isOne ? one : other;
    if (first === undefined || first.ordinal > lastOrdinal) return;
    yield first;
    if (isOne) one = ones.next().value;
    else other = others.next().value;
  }
}
