import { TimerWheel } from '../../src/clock.ts';
import type { RouteConfig } from '../../src/config/schema.ts';
import { Hub } from '../../src/hub/hub.ts';
import { Log } from '../../src/hub/log.ts';
import type { Publication } from '../../src/hub/source.ts';
import { Metrics } from '../../src/metrics.ts';
import { type Destination, Router } from '../../src/routing/router.ts';
import { ManualClock } from '../support/clock.ts';
import { routeConfig } from '../support/route.ts';
import { FakeArchive } from './fake-archive.ts';
import { FakeSource } from './fakes.ts';

/** Something that the hub was given to publish: what is delivered is to be just this. */
export interface Arrival {
  readonly channel: string;
  readonly log: Log;
  readonly offset: number;
  /** Begins with the channel's name. */
  readonly data: string;
  readonly key: string | undefined;
  readonly priority: number;
}

/** What feeds a route: what this process alone counts, or a log that is kept elsewhere as well. */
export type LogKind = 'core' | 'stream';

export type Routes = Readonly<Record<string, Partial<RouteConfig> & { readonly log: LogKind }>>;

/** A hub of several routes over two logs. A route `r` has the channels `r-1`, `r-2` and so on. */
export function setUpRoutes(routes: Routes) {
  const clock = new ManualClock();
  const wheel = new TimerWheel(clock);
  const metrics = new Metrics();
  const sources = {
    core: new FakeSource(new Log('core')),
    stream: new FakeSource(new Log('strm'), new FakeArchive()),
  };
  const sourceOf = (name: string) => sources[routes[name]?.log ?? 'core'];
  const hub = new Hub({
    clock,
    wheel,
    metrics,
    source: ({ name }) => sourceOf(name),
    maxChannels: 10_000,
    maxReplay: 1000,
    historyBytes: 64 * 1024 * 1024,
    control: true,
  });
  const configs = Object.entries(routes).map(([name, { log: _, ...given }]) => [
    name,
    routeConfig({ channel: `${name}-{n}`, subject: `${name}.{n}`, ...given }),
  ]);
  const router = new Router(Object.fromEntries(configs));
  const destination = (channel: string): Destination => {
    const found = router.resolve(channel);
    if (found === undefined) throw new TypeError(`no channel name: ${channel}`);
    return found;
  };
  const arrivals: Arrival[] = [];
  const listeners: ((arrival: Arrival) => void)[] = [];
  const publish = hub.publish.bind(hub);
  hub.publish = (channel, publication, at) => {
    publish(channel, publication, at);
    const { log } = channel.source;
    const data = Buffer.from(publication.data).toString();
    const { key, priority = 0 } = publication;
    const arrival = { channel: channel.name, log, offset: at ?? log.offset, data, key, priority };
    arrivals.push(arrival);
    for (const listener of listeners) listener(arrival);
  };
  return {
    clock,
    wheel,
    metrics,
    hub,
    sources,
    destination,
    /** What was published, what was shaped as it came out of the shaping. */
    arrivals,
    onArrival: (listener: (arrival: Arrival) => void) => void listeners.push(listener),
    /** One message that these channels of one log have. Those that are not open miss it. */
    publish: (channels: readonly string[], text: string, fields: Partial<Publication> = {}): void => {
      const [first = ''] = channels;
      const { log, archive } = sourceOf(destination(first).route.name);
      if (archive !== undefined) log.offset += 1;
      const at = archive === undefined ? undefined : log.offset;
      for (const channel of channels) {
        const publication = { event: undefined, ...fields, data: `${channel} ${text}` };
        sourceOf(destination(channel).route.name).sink(channel)?.publish(publication, at);
      }
    },
    /** Lets time pass, and what is due fire. */
    pass: (ms: number) => {
      clock.advance(ms);
      wheel.advance();
    },
  };
}

/** One turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
