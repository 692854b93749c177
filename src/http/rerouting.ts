import { isDeepStrictEqual } from 'node:util';
import type { Authenticator } from '../auth/authenticator.ts';
import { Timer, type TimerWheel } from '../clock.ts';
import type { Channel } from '../hub/channel.ts';
import type { Hub } from '../hub/hub.ts';
import type { Rerouted } from '../hub/rerouting.ts';
import type { ActRefusal, UnsubscribeReason } from '../reasons.ts';
import type { Destination } from '../routing/router.ts';
import { type Acts, takeOff } from './acts.ts';
import { limitKey } from './address.ts';
import type { ChannelState } from './channel-state.ts';
import { type Client, Connection } from './connection.ts';
import { Poll } from './poll.ts';

export interface ReroutingOptions {
  readonly hub: Hub;
  readonly wheel: TimerWheel;
  readonly acts: Pick<Acts, 'move'>;
  readonly authenticator: Pick<Authenticator, 'mayRead'>;
  /** `sse.control`. */
  readonly control: boolean;
  resolve(channel: string): Destination | undefined;
  channelState(destination: Destination): ChannelState;
  /** Counts a stream towards what it is on now. */
  recount(client: Client, destinations: readonly Destination[]): void;
}

type Stream = Connection | Poll;

/** So many streams are seen to in one go; between two of them there is room for what is live. */
const STRIDE = 32;
/** What cannot be done now is tried so often, after so long each time, in milliseconds. */
const TRIES = 10;
const AGAIN_MS = 2_000;
/** Nobody said that they may not: whoever could tell did not answer. */
const UNKNOWN: ReadonlySet<ActRefusal> = new Set<ActRefusal>(['AUTH_UNAVAILABLE', 'AUTH_RATE']);
/** It may be otherwise in a moment. */
const PASSING: ReadonlySet<ActRefusal> = new Set<ActRefusal>(['NOT_LIVE', 'NATS_NOT_READY', 'CHANNEL_LIMIT']);

/** What new routes do to streams that are open: they leave what is gone, follow what has moved, and keep only what they may read. */
export class Rerouting {
  readonly #options: ReroutingOptions;

  constructor(options: ReroutingOptions) {
    this.#options = options;
  }

  /** Sees to all of them, a slice at a time. */
  rerouted({ kept, detached }: Rerouted): void {
    for (const channel of detached) this.#each(channel, (stream) => this.#leave(stream, channel));
    for (const { channel, before } of kept) {
      const { access, dynamic } = channel.destination.route.config;
      const isSame = isDeepStrictEqual(before.config.access, access) && before.config.dynamic === dynamic;
      if (!isSame) this.#each(channel, (stream) => void this.#judge(stream, channel));
    }
  }

  #leave(stream: Stream, channel: Channel): void {
    const to = this.#options.resolve(channel.name);
    if (stream instanceof Poll) stream.close('reconfigured');
    else if (to === undefined) this.#takeOff(stream, channel, 'removed');
    else void this.#move(stream, channel, to);
  }

  /** Never rejects. */
  async #move(stream: Connection, from: Channel, to: Destination): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      const refusal = await this.#options.acts.move(stream, from, to);
      if (refusal === undefined || stream.isEnding || !stream.channels.includes(from)) return;
      if (UNKNOWN.has(refusal)) return stream.close('reconfigured');
      // By yet another config it leads elsewhere.
      if (to.route.isRetired) return this.#leave(stream, from);
      if (!PASSING.has(refusal)) return this.#takeOff(stream, from, 'forbidden');
      if (tries === TRIES) return stream.close('reconfigured');
      await this.#wait();
    }
  }

  /** Whether a stream may stay on a channel, by the identity that it came with. Never rejects. */
  async #judge(stream: Stream, channel: Channel): Promise<void> {
    const { authenticator, channelState } = this.#options;
    const { destination } = channel;
    const { identity, address } = stream.client;
    const state = channelState(destination);
    const isGone = state === 'closed' || state === 'unknown';
    const denial = isGone
      ? undefined
      : await authenticator.mayRead(identity, destination, { address, client: limitKey(address) });
    if ((!isGone && denial === undefined) || !stream.channels.includes(channel)) return;
    // It was asked about another route than the channel has by now.
    if (channel.destination !== destination) return this.#judge(stream, channel);
    const isUnknown = denial !== undefined && UNKNOWN.has(denial.refused);
    if (isUnknown || stream instanceof Poll) stream.close('reconfigured');
    else this.#takeOff(stream, channel, isGone ? 'removed' : 'forbidden');
  }

  /** The last one ends it; so does any, where it was not told yet what it is on: what is replayed to it may be of that very channel. */
  #takeOff(stream: Connection, channel: Channel, reason: UnsubscribeReason): void {
    const { hub, control, recount } = this.#options;
    if (stream.channels.length === 1 || !stream.isLive) {
      stream.close('reconfigured');
      return;
    }
    const left = () =>
      recount(
        stream.client,
        stream.channels.map(({ destination }) => destination),
      );
    takeOff(stream, [channel.name], { reason, hub, control, left });
  }

  #each(channel: Channel, act: (stream: Stream) => void): void {
    const streams = [...channel.subscribers].filter(
      (subscriber) => subscriber instanceof Connection || subscriber instanceof Poll,
    );
    for (let from = 0; from < streams.length; from += STRIDE) {
      const some = streams.slice(from, from + STRIDE);
      this.#options.hub.enqueue(() => {
        for (const stream of some) if (!stream.isEnding && stream.channels.includes(channel)) act(stream);
      });
    }
  }

  #wait(): Promise<void> {
    return new Promise((resolve) => {
      this.#options.wheel.schedule(new Timer({ onDue: () => resolve() }), AGAIN_MS);
    });
  }
}
