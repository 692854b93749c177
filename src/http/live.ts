import type { Aside } from '../hub/encoder.ts';
import type { Hub } from '../hub/hub.ts';
import type { Batch } from '../protocol/batch.ts';
import type { Destination } from '../routing/router.ts';
import { takeOff } from './acts.ts';
import { type Client, Connection } from './connection.ts';
import type { Poll } from './poll.ts';
import type { Streams } from './streams.ts';

/** Which streams of this instance. */
export type Whom = { readonly connection: string } | { readonly user: string } | 'all';
/** The same, or all that are on a channel. */
export type Whose = Whom | { readonly channel: string };

export interface LiveOptions {
  readonly hub: Hub;
  readonly streams: Pick<Streams, 'connections' | 'polls'>;
  /** `sse.control`. */
  readonly control: boolean;
  /** Counts a stream towards what it is on now. */
  recount(client: Client, destinations: readonly Destination[]): void;
}

export interface Dismissal {
  /** Whether the client may come back by itself. Default: true. */
  readonly reconnect?: boolean | undefined;
  /** When, in milliseconds. Default: jittered, as for every stream. */
  readonly retryMs?: number | undefined;
}

type Stream = Connection | Poll;

/** So many streams are seen to in one go; between two of them there is room for what is live. */
const STRIDE = 32;

/** What is done from outside to streams that are open here. What concerns thousands is done in slices, in the order it was asked for. */
export class Live {
  readonly #options: LiveOptions;
  /** To be ended in a turn to come. */
  readonly #dismissed = new WeakSet<Stream>();

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  /** Streams and long polls that are open, and not about to end. */
  pick(whose: Whose): Stream[] {
    const { connections, polls } = this.#options.streams;
    const picks = picker(whose);
    return [...connections, ...polls].filter(
      (stream) => !stream.isEnding && !this.#dismissed.has(stream) && picks(stream),
    );
  }

  /**
   * Gives streams an event that has no position: encoded once, in order with what is published, within the bounds for readers that
   * are behind; nobody is given it again. A long poll is answered with it. Says to how many.
   */
  send(whom: Whom, event: Aside): number {
    const { hub } = this.#options;
    const streams = this.pick(whom).filter((stream) => !(stream instanceof Connection) || stream.isLive);
    let batch: Batch | undefined;
    this.#each(streams, (stream) => {
      // Only here has it a place in the order of arrival.
      batch ??= hub.aside(event);
      hub.catchUp(stream);
      stream.deliver(batch);
    });
    return streams.length;
  }

  /** Ends streams, telling `disconnected`; says how many. */
  disconnect(whose: Whose, { reconnect = true, retryMs }: Dismissal = {}): number {
    const streams = this.pick(whose);
    for (const stream of streams) this.#dismissed.add(stream);
    this.#each(streams, (stream) => stream.close('disconnected', retryMs, { isFinal: !reconnect }));
    return streams.length;
  }

  /** Takes every stream off a channel, and ends those for which it was the last, for good; says how many there were. */
  closeChannel(channel: string): number {
    const streams = this.pick({ channel });
    this.#each(streams, (stream) => this.#close(stream, channel));
    return streams.length;
  }

  #close(stream: Stream, channel: string): void {
    if (stream.channels.every(({ name }) => name === channel)) {
      stream.close('channel-closed', undefined, { isFinal: true });
      return;
    }
    const { hub, control, recount } = this.#options;
    const left = () =>
      recount(
        stream.client,
        stream.channels.map(({ destination }) => destination),
      );
    if (stream instanceof Connection) {
      stream.whenSettled(() => takeOff(stream, [channel], { reason: 'channel-closed', hub, control, left }));
      return;
    }
    for (const on of [...stream.channels]) if (on.name === channel) hub.unsubscribe(stream, on);
    left();
  }

  #each(streams: readonly Stream[], act: (stream: Stream) => void): void {
    for (let from = 0; from < streams.length; from += STRIDE) {
      const some = streams.slice(from, from + STRIDE);
      this.#options.hub.enqueue(() => {
        for (const stream of some) if (stream.isOpen) act(stream);
      });
    }
  }
}

function picker(whose: Whose): (stream: Stream) => boolean {
  if (whose === 'all') return () => true;
  if ('connection' in whose) return ({ id }) => id === whose.connection;
  if ('user' in whose) return ({ client }) => client.identity?.subject === whose.user;
  return ({ channels }) => channels.some(({ name }) => name === whose.channel);
}
