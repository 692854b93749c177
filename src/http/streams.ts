import type { Identity } from '../auth/identity.ts';
import type { Connection } from './connection.ts';
import { type DrainOptions, drainConnections } from './drain.ts';
import { Poll } from './poll.ts';

/** What is said of a stream to who picks some of them. */
export interface PickedStream {
  /** As `sidestream.open` says it. */
  readonly id: string;
  readonly identity: Identity | undefined;
}

/** Every stream and every long poll that is open here. */
export class Streams {
  readonly #connections = new Set<Connection>();
  readonly #polls = new Set<Poll>();
  #lastOrdinal = 0;
  #ndjsonCount = 0;

  get connections(): ReadonlySet<Connection> {
    return this.#connections;
  }

  get polls(): ReadonlySet<Poll> {
    return this.#polls;
  }

  /** How many connections are in NDJSON. */
  get ndjsonCount(): number {
    return this.#ndjsonCount;
  }

  /** Of the one that came last. */
  get lastOrdinal(): number {
    return this.#lastOrdinal;
  }

  get size(): number {
    return this.#connections.size + this.#polls.size;
  }

  add(stream: Connection | Poll): void {
    this.#lastOrdinal += 1;
    stream.ordinal = this.#lastOrdinal;
    if (stream instanceof Poll) this.#polls.add(stream);
    else {
      this.#connections.add(stream);
      if (stream.rendering?.format === 'ndjson') this.#ndjsonCount += 1;
    }
  }

  delete(stream: Connection | Poll): void {
    if (stream instanceof Poll) this.#polls.delete(stream);
    else if (this.#connections.delete(stream) && stream.rendering?.format === 'ndjson')
      this.#ndjsonCount -= 1;
  }

  /** Ends those that match, telling the reason; says how many. */
  end(reason: 'revoked', matches: (stream: PickedStream) => boolean): number {
    const matching = [...this.#connections, ...this.#polls].filter(({ id, client }) =>
      matches({ id, identity: client.identity }),
    );
    for (const stream of matching) stream.close(reason);
    return matching.length;
  }

  /** Answers polls, tells every stream to come back elsewhere, at its own time, and ends it. */
  async drain(options: DrainOptions): Promise<void> {
    for (const poll of this.#polls) poll.close('draining');
    await drainConnections(this.#connections, options, this.#polls);
  }

  /** Cuts off what is open. */
  abort(): void {
    for (const stream of [...this.#connections, ...this.#polls]) stream.abort('draining');
  }
}
