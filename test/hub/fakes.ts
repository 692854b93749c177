import { TimerWheel } from '../../src/clock.ts';
import type { RouteConfig } from '../../src/config/schema.ts';
import type { Channel, Subscriber } from '../../src/hub/channel.ts';
import { Hub } from '../../src/hub/hub.ts';
import { Log, type View } from '../../src/hub/log.ts';
import type { Opened } from '../../src/hub/recovery.ts';
import type { Archive, Sink, Source, Upstream } from '../../src/hub/source.ts';
import { Metrics } from '../../src/metrics.ts';
import type { Batch } from '../../src/protocol/batch.ts';
import { parseCursor } from '../../src/protocol/cursor.ts';
import { type Destination, Router } from '../../src/routing/router.ts';
import { ManualClock } from '../support/clock.ts';
import { EventStreamParser, type ReceivedEvent } from '../support/event-stream.ts';
import { routeConfig } from '../support/route.ts';

export const LINGER_MS = 60_000;

/** Follows what the hub opens and closes; feeds channels by hand. Throws where a channel is opened or closed twice. */
export class FakeSource implements Source {
  readonly log: Log;
  interrupted = false;
  readonly archive?: Archive;
  /** Names of all channels ever opened and closed, in order: `+a`, `-a`. */
  readonly calls: string[] = [];
  readonly #sinks = new Map<string, Sink>();

  constructor(log = new Log('e'), archive?: Archive) {
    this.log = log;
    if (archive !== undefined) this.archive = archive;
  }

  open(destination: Destination, sink: Sink): Upstream {
    sink.settled();
    const { channel } = destination;
    if (this.#sinks.has(channel)) throw new Error(`${channel} is opened twice`);
    this.#sinks.set(channel, sink);
    this.calls.push(`+${channel}`);
    return { close: () => this.#close(channel) };
  }

  /** Channels that are fed now. */
  get fed(): string[] {
    return [...this.#sinks.keys()];
  }

  /** Gives the channel's sink, where it is open. */
  sink(channel: string): Sink | undefined {
    return this.#sinks.get(channel);
  }

  #close(channel: string): void {
    if (!this.#sinks.delete(channel)) throw new Error(`${channel} is closed twice`);
    this.calls.push(`-${channel}`);
  }
}

/** Takes batches and reads them as a browser would. */
export class FakeSubscriber implements Subscriber {
  readonly channels: Channel[] = [];
  turn = 0;
  view: View | undefined;
  readonly batches: Batch[] = [];
  readonly parser = new EventStreamParser();
  /** Called after each batch. */
  onDeliver: () => void = () => undefined;

  deliver(batch: Batch): void {
    this.batches.push(batch);
    for (const part of batch.parts) this.parser.push(part);
    this.onDeliver();
  }

  get events(): readonly ReceivedEvent[] {
    return this.parser.events;
  }

  /** The data of each event, in order of arrival. */
  get data(): string[] {
    return this.events.map(({ data }) => data);
  }
}

export interface HubSetup {
  readonly maxChannels?: number;
  readonly control?: boolean;
  readonly lingerMs?: number;
  readonly maxReplay?: number;
  readonly historyBytes?: number;
  /** Of the one route. */
  readonly route?: Partial<RouteConfig>;
  readonly archive?: Archive;
}

/** A hub with a source and a clock that are moved by hand, and one route `{name}` fed by `s.{name}`. */
export function setUpHub({
  maxChannels = 100,
  control = true,
  lingerMs = LINGER_MS,
  maxReplay = 1000,
  historyBytes = 1024 * 1024,
  route,
  archive,
}: HubSetup = {}) {
  const clock = new ManualClock();
  const wheel = new TimerWheel(clock);
  const source = new FakeSource(new Log('e'), archive);
  const metrics = new Metrics();
  const hub = new Hub({
    clock,
    wheel,
    metrics,
    source: () => source,
    maxChannels,
    maxReplay,
    historyBytes,
    control,
  });
  const router = new Router({
    any: routeConfig({ channel: '{name}', subject: 's.{name}', lingerMs, ...route }),
  });
  const destination = (channel: string): Destination => {
    const found = router.resolve(channel);
    if (found === undefined) throw new TypeError(`no channel name: ${channel}`);
    return found;
  };
  return {
    clock,
    wheel,
    source,
    metrics,
    hub,
    destination,
    join: (subscriber: Subscriber, channel: string): Channel =>
      hub.subscribe(subscriber, destination(channel)),
    /** The cursor of this moment. */
    cursor: () => `e.${source.log.offset}`,
    /** What a connection with this cursor is told of a channel that is open. */
    opened: (channel: Channel, cursor: string | undefined): Opened | undefined => {
      const positions = cursor === undefined ? undefined : parseCursor(cursor);
      const recovery = hub.recovery(new FakeSubscriber(), [channel], positions);
      return recovery.conclude().channels[0];
    },
    publish: (channel: string, data: string, event?: string) =>
      source.sink(channel)?.publish({ event, data }),
    /** Lets time pass, and what is due fire. */
    pass: (ms: number) => {
      clock.advance(ms);
      wheel.advance();
    },
  };
}
