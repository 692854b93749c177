import { TimerWheel } from '../../src/clock.ts';
import type { Channel } from '../../src/hub/channel.ts';
import { Hub } from '../../src/hub/hub.ts';
import type { Sink, Source, Upstream } from '../../src/hub/source.ts';
import type { Subscriber } from '../../src/hub/subscriber.ts';
import { Metrics } from '../../src/metrics.ts';
import type { Batch } from '../../src/protocol/frame.ts';
import { type Destination, Router } from '../../src/routing/router.ts';
import { ManualClock } from '../support/clock.ts';
import { EventStreamParser, type ReceivedEvent } from '../support/event-stream.ts';

export const LINGER_MS = 60_000;

/** Follows what the hub opens and closes; feeds channels by hand. Throws where a channel is opened or closed twice. */
export class FakeSource implements Source {
  interrupted = false;
  /** Names of all channels ever opened and closed, in order: `+a`, `-a`. */
  readonly calls: string[] = [];
  readonly #sinks = new Map<string, Sink>();

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
  readonly batches: Batch[] = [];
  readonly parser = new EventStreamParser();
  /** Called after each batch. */
  onDeliver: () => void = () => undefined;

  deliver(batch: Batch): void {
    this.batches.push(batch);
    for (const chunk of batch.chunks) this.parser.push(chunk);
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
}

/** A hub with a source and a clock that are moved by hand, and one route `{name}` fed by `s.{name}`. */
export function setUpHub({ maxChannels = 100, control = true, lingerMs = LINGER_MS }: HubSetup = {}) {
  const clock = new ManualClock();
  const wheel = new TimerWheel(clock);
  const source = new FakeSource();
  const metrics = new Metrics();
  const hub = new Hub({ clock, wheel, metrics, source, epoch: 'e', maxChannels, control });
  const router = new Router({
    any: {
      channel: '{name}',
      subject: 's.{name}',
      access: [{ kind: 'public' }],
      binary: false,
      envelope: false,
      lingerMs,
    },
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
    publish: (channel: string, data: string, event?: string) =>
      source.sink(channel)?.publish({ event, data }),
    /** Lets time pass, and what is due fire. */
    pass: (ms: number) => {
      clock.advance(ms);
      wheel.advance();
    },
  };
}
