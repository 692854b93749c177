import type { Config } from '../config/schema.ts';
import type { Hub, Verdict } from '../hub/hub.ts';
import type { Metrics } from '../metrics.ts';
import type { Position } from '../protocol/cursor.ts';
import { encodeControl, retryLine } from '../protocol/sse.ts';
import type { RefusalCode } from '../reasons.ts';
import type { Destination, Router } from '../routing/router.ts';
import type { Connection } from './connection.ts';
import { STREAM_HEADERS } from './refusal.ts';
import type { Retry } from './retry.ts';
import type { HttpResponse } from './uws.ts';

type Resolution =
  | { readonly found: readonly Destination[] }
  | { readonly refused: RefusalCode; readonly channel: string };

/** Finds the route of every channel asked for; one that nobody serves refuses the request and is named. */
export function resolveChannels(names: readonly string[], router: Router): Resolution {
  const found: Destination[] = [];
  for (const channel of names) {
    const destination = router.resolve(channel);
    if (destination === undefined) return { refused: 'CHANNEL_UNKNOWN', channel };
    found.push(destination);
  }
  return { found };
}

/** Which limit on channels a stream would break, if any. One that is on a channel without asking does not count as a seat there. */
export function channelLimit(
  asked: readonly Destination[],
  all: readonly Destination[],
  hub: Hub,
  limits: Config['limits'],
): { readonly refused: RefusalCode; readonly channel: string } | undefined {
  const full = asked.find(({ channel }) => hub.subscriberCount(channel) >= limits.connectionsPerChannel);
  if (limits.connectionsPerChannel > 0 && full !== undefined) {
    return { refused: 'CONNECTION_LIMIT_CHANNEL', channel: full.channel };
  }
  const names = all.map(({ channel }) => channel);
  return hub.hasRoomFor(names) ? undefined : { refused: 'CHANNEL_LIMIT', channel: names[0] ?? '' };
}

/** What all streams of a server share. */
export interface StreamContext {
  readonly hub: Hub;
  readonly metrics: Metrics;
  readonly retry: Retry;
  readonly sse: Config['sse'];
}

export interface StreamOptions {
  readonly destinations: readonly Destination[];
  readonly cursor: readonly Position[] | undefined;
  /** CORS headers of this request. */
  readonly headers: readonly (readonly [string, string])[];
}

/** Writes the head and the first bytes, and puts the connection on its channels. DESIGN 2.2. */
export function openStream(
  connection: Connection,
  res: HttpResponse,
  { hub, metrics, retry, sse }: StreamContext,
  { destinations, cursor, headers }: StreamOptions,
): void {
  res.onAborted(() => connection.onAborted());
  const opened: { channel: string; resume: Verdict; replayed: number }[] = [];
  for (const destination of destinations) {
    const channel = hub.subscribe(connection, destination);
    connection.channels.push(channel);
    const resume = hub.verdict(channel, cursor);
    metrics.resumed(resume);
    opened.push({ channel: channel.name, resume, replayed: 0 });
  }
  let first = retryLine(retry.next());
  if (sse.control) {
    first += encodeControl('sidestream.open', { connection: connection.id, channels: opened }, hub.cursor);
    for (const channel of connection.channels)
      if (channel.unavailable) first += hub.gapEvent(channel, 'unavailable');
  } else first += '\n';
  res.writeStatus('200 OK');
  for (const [name, value] of STREAM_HEADERS) res.writeHeader(name, value);
  for (const [name, value] of headers) res.writeHeader(name, value);
  // Whoever is told to come back must come by a new connection, or a load balancer has no say in where to.
  res.writeHeader('Connection', 'close');
  res.write(first);
  metrics.sentBytes += first.length;
  connection.begin();
}
