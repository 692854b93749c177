import { isDeepStrictEqual } from 'node:util';
import type { Clock, TimerWheel } from '../clock.ts';
import type { Metrics } from '../metrics.ts';
import type { Destination, Route } from '../routing/router.ts';
import { Backlog } from './backlog.ts';
import { Channel, type ChannelOwner } from './channel.ts';
import type { Encoder } from './encoder.ts';
import { History, type Shelf } from './history.ts';
import type { Log } from './log.ts';
import type { Reader } from './reader.ts';
import type { Retention } from './retention.ts';
import type { Source } from './source.ts';

export interface OpeningOptions {
  /** The hub's own, as they are now. */
  readonly hub: {
    readonly clock: Clock;
    readonly wheel: TimerWheel;
    readonly metrics: Metrics;
    readonly maxReplay: number;
    source(route: Route): Source;
  };
  readonly owner: ChannelOwner;
  readonly retention: Retention;
  readonly encoder: Encoder;
  readonly reader: Reader;
}

/** Makes channels as their routes want them: what memory keeps of them, and what is read again. */
export class Opening {
  readonly #options: OpeningOptions;
  /** By route. */
  readonly #shelves = new Map<Route, Shelf>();

  constructor(options: OpeningOptions) {
    this.#options = options;
  }

  /** Routes of which memory keeps something; returns to those that there are. */
  get shelfCount(): number {
    return this.#shelves.size;
  }

  /** A channel that nothing feeds yet. */
  channel(destination: Destination): Channel {
    const { hub, owner } = this.#options;
    const source = hub.source(destination.route);
    const history = source.log.histories.get(destination.channel) ?? this.history(source.log, destination);
    history.held = true;
    const metrics = hub.metrics.route(destination.route.name);
    const backlogs = this.#backlogs(source, destination, history);
    return new Channel({ owner, timing: hub, destination, metrics, source, history, ...backlogs });
  }

  history(log: Log, { route, channel }: Destination): History {
    return new History(log, channel, this.#shelfOf(route), route.config.history);
  }

  /**
   * Has a channel go by another route of the same feed. Who is on it notices nothing; what is held back goes out as the route
   * before wants it. Where messages are mapped otherwise, what memory has of them is let go of, and the answer is false: it may show
   * what is not to be seen.
   */
  retarget(channel: Channel, destination: Destination): boolean {
    const { hub } = this.#options;
    const { history, upstream } = channel;
    const { route } = destination;
    channel.release();
    const isKept = mapsAlike(channel.destination.route, route);
    if (!isKept) {
      history.breaks(history.log.offset, 'evicted', hub.clock.wall());
      history.drop();
    }
    history.adopt(route.config.history, this.#shelfOf(route), hub.clock.wall());
    const source = hub.source(route);
    const metrics = hub.metrics.route(route.name);
    channel.retarget({ destination, metrics, source, ...this.#backlogs(source, destination, history) });
    // In this order the subject stays subscribed to.
    channel.upstream = source.open(destination, channel);
    upstream?.close();
    return isKept;
  }

  /** What memory has of channels that nobody reads now: by the routes that they have now, or not at all. */
  rerouted(resolve: (channel: string) => Destination | undefined): void {
    for (const [route, shelf] of this.#shelves) {
      if (!route.isRetired) continue;
      for (let history = shelf.first; history !== undefined; history = shelf.first)
        this.#move(history, route, resolve(history.channel));
      this.#shelves.delete(route);
      this.#options.retention.remove(shelf);
    }
  }

  #move(history: History, from: Route, to: Destination | undefined): void {
    const { hub } = this.#options;
    const nowMs = hub.clock.wall();
    const { log, channel } = history;
    const stays =
      to !== undefined && hub.source(to.route).log === log && log.histories.get(channel) === history;
    if (stays && isSameFeed({ route: from, subject: to.subject, channel }, to) && mapsAlike(from, to.route)) {
      history.adopt(to.route.config.history, this.#shelfOf(to.route), nowMs);
      return;
    }
    history.breaks(log.offset, 'evicted', nowMs);
    history.drop();
    history.retire();
  }

  #shelfOf(route: Route): Shelf {
    const known = this.#shelves.get(route);
    if (known !== undefined) return known;
    const shelf = this.#options.retention.shelf();
    this.#shelves.set(route, shelf);
    return shelf;
  }

  #backlogs(source: Source, destination: Destination, history: History) {
    const { source: from, replay } = destination.route.config;
    const isSent = from.kind === 'kv' || replay.kind !== 'none';
    return {
      missed: this.#backlog(source, destination, history),
      joining: isSent ? this.#backlog(source, destination, history) : undefined,
    };
  }

  #backlog({ archive, log }: Source, destination: Destination, history: History): Backlog | undefined {
    if (archive === undefined) return undefined;
    const { hub, retention, reader, encoder } = this.#options;
    return new Backlog({
      clock: hub.clock,
      retention,
      reader,
      archive,
      destination,
      history,
      limit: hub.maxReplay,
      encode: (publication, offset) => encoder.entry(log, publication, offset),
    });
  }
}

/** Whether a channel is fed with the same messages by both; of those of one log. */
export function isSameFeed(
  a: Pick<Destination, 'route' | 'subject' | 'channel'>,
  b: Pick<Destination, 'route' | 'subject' | 'channel'>,
): boolean {
  const [before, after] = [a.route.config.source, b.route.config.source];
  if (a.subject !== b.subject || before.kind !== after.kind) return false;
  if (before.kind === 'stream' && after.kind === 'stream') return before.stream === after.stream;
  return before.kind !== 'kv' || after.kind !== 'kv' || before.bucket === after.bucket;
}

/** Whether a message becomes the same event by both. */
function mapsAlike(a: Route, b: Route): boolean {
  const shape = ({ config }: Route) => {
    const { channel, subject, event, binary, envelope, trace, redact, map, latestBy } = config;
    return { channel, subject, event, binary, envelope, trace, redact, map, latestBy };
  };
  return isDeepStrictEqual(shape(a), shape(b));
}
