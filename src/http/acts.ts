import type { Authenticator } from '../auth/authenticator.ts';
import { Timer, type TimerWheel } from '../clock.ts';
import type { Config } from '../config/schema.ts';
import type { Channel } from '../hub/channel.ts';
import type { Hub } from '../hub/hub.ts';
import { Joining } from '../hub/joining.ts';
import type { Opened } from '../hub/recovery.ts';
import { encodeControl } from '../protocol/sse.ts';
import type { ActRefusal, UnsubscribeReason } from '../reasons.ts';
import type { Destination } from '../routing/router.ts';
import { limitKey } from './address.ts';
import { type ChannelState, REFUSED_STATES } from './channel-state.ts';
import { type Client, Connection } from './connection.ts';
import type { Poll } from './poll.ts';
import { channelLimit } from './subscribe.ts';

export interface ActsOptions {
  readonly hub: Hub;
  readonly wheel: TimerWheel;
  readonly authenticator: Pick<Authenticator, 'mayRead'>;
  readonly limits: Config['limits'];
  /** `sse.control`. */
  readonly control: boolean;
  /** How long one act may take before it is given up, in milliseconds. */
  readonly patienceMs: number;
  channelState(destination: Destination): ChannelState;
  /** Whether the other processes on the port leave room on a channel. */
  hasSeat(destination: Destination): boolean;
  /** Counts a stream towards what it is on now. */
  recount(client: Client, destinations: readonly Destination[]): void;
}

/** What came of one act on one stream: by channel, why not; channels that are not named are as they were to be. */
export type Refusals = ReadonlyMap<string, ActRefusal>;

export interface SubscribeChoices {
  /** Whether who calls vouches for the rights, which are not looked at then. */
  readonly isVouched: boolean;
}

/** How often it is looked whether a client that came from a replica further on has been caught up with, in milliseconds. */
const OVERTAKEN_MS = 100;
/** Acts on one stream that may be under way and wait. */
const MAX_ACTS = 16;

/** The acts on one stream, one after the other. */
interface Line {
  last: Promise<unknown>;
  acts: number;
}

/** Puts live streams on channels and takes them off. What is done to one stream is done one after the other. */
export class Acts {
  readonly #options: ActsOptions;
  readonly #lines = new WeakMap<Connection, Line>();

  constructor(options: ActsOptions) {
    this.#options = options;
  }

  /** Never rejects. What it is on already it stays on, and is not told. */
  async subscribe(
    stream: Connection | Poll,
    destinations: readonly Destination[],
    { isVouched }: SubscribeChoices,
  ): Promise<Refusals> {
    const names = destinations.map(({ channel }) => channel);
    return this.#act(stream, names, async (connection, signal) => {
      const refused = new Map<string, ActRefusal>();
      const asked: Destination[] = [];
      for (const destination of destinations) {
        if (isOn(connection, destination.channel)) continue;
        const refusal = await this.#objection(connection, destination, asked, isVouched);
        if (refusal === undefined) asked.push(destination);
        else refused.set(destination.channel, refusal);
      }
      const failed = asked.length === 0 ? undefined : await this.#join(connection, asked, signal);
      if (failed !== undefined) for (const { channel } of asked) refused.set(channel, failed);
      return refused;
    });
  }

  /** Never rejects. What it is not on it need not leave. The last channel may go: the stream stays, with heartbeats alone. */
  async unsubscribe(stream: Connection | Poll, channels: readonly string[]): Promise<Refusals> {
    return this.#act(stream, channels, async (connection) => {
      const { hub, control } = this.#options;
      const left = () => this.#recount(connection);
      const isDone = takeOff(connection, channels, { reason: 'unsubscribed', hub, control, left });
      return isDone ? new Map() : allRefused(channels, 'NOT_LIVE');
    });
  }

  /**
   * Puts a stream from a channel onto the one that its name leads to now: in one moment, so that nothing of either is missed, and
   * telling that it is another feed. Why not, where it is on the one before still; never rejects.
   */
  async move(stream: Connection, from: Channel, to: Destination): Promise<ActRefusal | undefined> {
    const refused = await this.#act(stream, [to.channel], async (connection, signal) => {
      if (!connection.channels.includes(from)) return new Map();
      const refusal =
        (await this.#objectionToMove(connection, from, to)) ??
        (await this.#join(connection, [to], signal, from));
      return refusal === undefined ? new Map() : allRefused([to.channel], refusal);
    });
    return refused.get(to.channel);
  }

  async #act(
    stream: Connection | Poll,
    channels: readonly string[],
    act: (connection: Connection, signal: AbortSignal) => Promise<Refusals>,
  ): Promise<Refusals> {
    if (!(stream instanceof Connection)) return allRefused(channels, 'POLL');
    const line = this.#lines.get(stream) ?? { last: Promise.resolve(), acts: 0 };
    if (line.acts >= MAX_ACTS) return allRefused(channels, 'NOT_LIVE');
    const before = line.last;
    const controller = new AbortController();
    const { signal } = controller;
    const run = async () => {
      await before;
      await new Promise<void>((resolve) => stream.whenSettled(resolve));
      return signal.aborted || !stream.isLive ? allRefused(channels, 'NOT_LIVE') : act(stream, signal);
    };
    const timer = new Timer({ onDue: () => controller.abort() });
    this.#options.wheel.schedule(timer, this.#options.patienceMs);
    const over = new Promise<Refusals>((resolve) => {
      signal.addEventListener('abort', () => resolve(allRefused(channels, 'NOT_LIVE')));
    });
    // One that is over does nothing any more: the next need not wait for what it still waits for.
    const ended = Promise.race([run(), over]);
    this.#lines.set(stream, line);
    line.last = ended;
    line.acts += 1;
    const refusals = await ended;
    line.acts -= 1;
    this.#options.wheel.cancel(timer);
    return refusals;
  }

  async #objection(
    connection: Connection,
    destination: Destination,
    besides: readonly Destination[],
    isVouched: boolean,
  ): Promise<ActRefusal | undefined> {
    const { hub, limits, channelState, authenticator, hasSeat } = this.#options;
    const state = channelState(destination);
    if (state !== 'open') return REFUSED_STATES[state];
    if (connection.waitingBytes > limits.pendingBytes) return 'SLOW';
    if (connection.channels.length + besides.length >= limits.channelsPerConnection)
      return 'CHANNELS_TOO_MANY';
    const { identity, address } = connection.client;
    if (!isVouched) {
      const denial = await authenticator.mayRead(identity, destination, {
        address,
        client: limitKey(address),
      });
      if (denial !== undefined) return denial.refused;
    }
    const all = [...connection.channels.map((on) => on.destination), ...besides, destination];
    const limit = channelLimit([destination], all, hub, limits);
    if (limit !== undefined) return limit.refused;
    return hasSeat(destination) ? undefined : 'CONNECTION_LIMIT_CHANNEL';
  }

  /** It has its seat. */
  async #objectionToMove(
    { client: { identity, address }, channels }: Connection,
    from: Channel,
    to: Destination,
  ): Promise<ActRefusal | undefined> {
    const { hub, limits, channelState, authenticator } = this.#options;
    const state = channelState(to);
    if (state !== 'open') return REFUSED_STATES[state];
    const denial = await authenticator.mayRead(identity, to, { address, client: limitKey(address) });
    if (denial !== undefined) return denial.refused;
    const others = channels.filter((channel) => channel !== from).map(({ destination }) => destination);
    return channelLimit([], [...others, to], hub, limits)?.refused;
  }

  /** Why not, or `undefined` where it is on the channels now, and no longer on `from`. */
  #join(
    connection: Connection,
    destinations: readonly Destination[],
    signal: AbortSignal,
    from?: Channel,
  ): Promise<ActRefusal | undefined> {
    const { hub, wheel, channelState } = this.#options;
    if (signal.aborted || !connection.isLive) return Promise.resolve('NOT_LIVE');
    // It may have been asked for long: a channel that is opened by a route of before would be found by who comes next.
    const state = destinations.map((to) => channelState(to)).find((its) => its !== 'open');
    if (state !== undefined) return Promise.resolve(REFUSED_STATES[state]);
    const joining = new Joining(hub, destinations);
    return new Promise((resolve) => {
      const end = (refusal: ActRefusal | undefined) => {
        wheel.cancel(again);
        joining.cancel();
        resolve(refusal);
      };
      const ready = () => {
        if (signal.aborted) return;
        if (joining.isOvertakenBy(connection)) wheel.schedule(again, OVERTAKEN_MS);
        else end(this.#conclude(connection, joining, destinations, from));
      };
      const failed = () => end('NATS_NOT_READY');
      const again = new Timer({ onDue: () => joining.start(ready, failed) });
      signal.addEventListener('abort', () => end('NOT_LIVE'));
      joining.start(ready, failed);
    });
  }

  #conclude(
    connection: Connection,
    joining: Joining,
    asked: readonly Destination[],
    from: Channel | undefined,
  ): ActRefusal | undefined {
    const { hub, control, channelState } = this.#options;
    // Judged by the routes that were asked for: where those were changed, the channels have others by now.
    if (asked.some((destination) => channelState(destination) !== 'open')) return 'CHANNEL_CLOSED';
    const isDone = connection.change(() => {
      if (from !== undefined) hub.unsubscribe(connection, from);
      const { channels, replay } = joining.conclude(connection);
      this.#recount(connection);
      const cursor = hub.cursor(connection);
      const last = replay.frames.length - 1;
      // An earlier cursor would pass what is still to come; the last event brings the one of this moment.
      const ids = replay.frames.map((_, i) => (i === last ? cursor : ''));
      const parts = hub.replayParts(
        { frames: replay.frames, ids },
        {
          takesParts: connection.rendering?.takesParts ?? true,
          sharesAll: connection.rendering !== undefined,
        },
      );
      if (!control) return parts;
      const moved = from === undefined ? '' : hub.gapEvent(from, 'changed');
      const told = subscribed(connection, hub, channels, last < 0 ? cursor : '');
      return [Buffer.from(told + moved), ...parts];
    });
    return isDone ? undefined : 'NOT_LIVE';
  }

  #recount({ client, channels }: Connection): void {
    this.#options.recount(
      client,
      channels.map(({ destination }) => destination),
    );
  }
}

export interface Leaving {
  readonly reason: UnsubscribeReason;
  readonly hub: Hub;
  readonly control: boolean;
  /** Called when it is off them. */
  left(): void;
}

/** Takes a live stream off channels, and tells it; false where it is not live. */
export function takeOff(connection: Connection, names: readonly string[], how: Leaving): boolean {
  const { hub, reason, control, left } = how;
  return connection.change(() => {
    const gone = connection.channels.filter(({ name }) => names.includes(name));
    if (gone.length === 0) return [];
    for (const channel of gone) hub.unsubscribe(connection, channel);
    hub.rebase(connection);
    left();
    if (!control) return [];
    const cursor = hub.cursor(connection);
    const told = { channels: gone.map(({ name }) => name), reason };
    // An empty `id:` would make the browser forget the one that it has.
    return [Buffer.from(encodeControl('sidestream.unsubscribed', told, cursor === '' ? undefined : cursor))];
  });
}

function subscribed(connection: Connection, hub: Hub, channels: readonly Opened[], cursor: string): string {
  const names = new Set(channels.map(({ channel }) => channel));
  const unavailable = connection.channels.filter(({ name, unavailable }) => unavailable && names.has(name));
  const gaps = unavailable.map((channel) => hub.gapEvent(channel, 'unavailable'));
  return (
    encodeControl('sidestream.subscribed', { channels }, cursor === '' ? undefined : cursor) + gaps.join('')
  );
}

function isOn({ channels }: Connection, name: string): boolean {
  return channels.some((channel) => channel.name === name);
}

function allRefused(channels: readonly string[], refusal: ActRefusal): Refusals {
  return new Map(channels.map((channel) => [channel, refusal]));
}
