import { isDeepStrictEqual } from 'node:util';
import type { Authenticator } from '../auth/authenticator.ts';
import { Timer, type TimerWheel } from '../clock.ts';
import type { Channel } from '../hub/channel.ts';
import type { Hub } from '../hub/hub.ts';
import type { Rerouted } from '../hub/rerouting.ts';
import type { ActRefusal, UnsubscribeReason } from '../reasons.ts';
import type { Destination, Route } from '../routing/router.ts';
import { type Acts, takeOff } from './acts.ts';
import { limitKey } from './address.ts';
import { type ChannelState, REFUSED_STATES } from './channel-state.ts';
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
const UNKNOWN: ReadonlySet<ActRefusal> = new Set<ActRefusal>([
  'AUTH_UNAVAILABLE',
  'AUTH_RATE',
  'NATS_NOT_READY',
]);
/** There is no such channel. */
const GONE: ReadonlySet<ActRefusal> = new Set<ActRefusal>(['CHANNEL_CLOSED', 'CHANNEL_UNKNOWN']);
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
    for (const { channel, before } of kept)
      if (!isReadAlike(before, channel.destination.route))
        this.#each(channel, (stream) => void this.#judge(stream, channel));
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
      // By yet another config it leads elsewhere.
      if (to.route.isRetired) return this.#leave(stream, from);
      if (!PASSING.has(refusal)) {
        if (UNKNOWN.has(refusal)) stream.close('reconfigured');
        else this.#takeOff(stream, from, GONE.has(refusal) ? 'removed' : 'forbidden');
        return;
      }
      if (tries === TRIES) return stream.close('reconfigured');
      await this.#wait();
    }
  }

  /** Whether a stream may stay on a channel, by the identity that it came with. Never rejects. */
  async #judge(stream: Stream, channel: Channel): Promise<void> {
    const { destination } = channel;
    const refusal = await this.#objection(stream.client, destination);
    // Where it leads elsewhere by now, it is moved by those who saw to that.
    if (refusal === undefined || channel.isDetached || !stream.channels.includes(channel)) return;
    // It was asked about another route than the channel has by now.
    if (channel.destination !== destination) return this.#judge(stream, channel);
    if (UNKNOWN.has(refusal) || stream instanceof Poll) stream.close('reconfigured');
    else this.#takeOff(stream, channel, GONE.has(refusal) ? 'removed' : 'forbidden');
  }

  /** Why not, as far as that can be found out. */
  async #objection({ identity, address }: Client, to: Destination): Promise<ActRefusal | undefined> {
    const { authenticator, channelState } = this.#options;
    const state = channelState(to);
    if (state === 'closed' || state === 'unknown') return REFUSED_STATES[state];
    const denial = await authenticator.mayRead(identity, to, { address, client: limitKey(address) });
    if (denial !== undefined) return denial.refused;
    // Which channels were made may be asked for only since its route is dynamic.
    for (let tries = 1; tries < TRIES && channelState(to) === 'loading' && !to.route.isRetired; tries += 1)
      await this.#wait();
    const now = channelState(to);
    return now === 'open' ? undefined : REFUSED_STATES[now];
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

/** Whether by both the same people may read the same channels. What a rule says of a parameter depends on the template. */
function isReadAlike({ config: before }: Route, { config: after }: Route): boolean {
  return (
    before.channel === after.channel &&
    before.dynamic === after.dynamic &&
    isDeepStrictEqual(before.access, after.access)
  );
}
