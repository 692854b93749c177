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
  const { connectionsPerChannel: seats } = limits;
  const full = seats > 0 ? asked.find(({ channel }) => hub.subscriberCount(channel) >= seats) : undefined;
  if (full !== undefined) return { refused: 'CONNECTION_LIMIT_CHANNEL', channel: full.channel };
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

/**
 * Puts the connection on its channels, and writes the head and the first bytes. DESIGN 2.2.
 *
 * `sidestream.open` says "from now on", so it waits until each channel's feed is in place: the first to join a channel
 * gets it one round trip to NATS later than its head and `retry:`, which go out at once for the proxies' sake.
 */
export function openStream(
  connection: Connection,
  res: HttpResponse,
  context: StreamContext,
  { destinations, cursor, headers }: StreamOptions,
): void {
  const { hub, metrics, retry } = context;
  res.onAborted(() => connection.onAborted());
  for (const destination of destinations) connection.channels.push(hub.subscribe(connection, destination));
  const greet = () => greeting(connection, context, cursor);
  const opening = connection.channels.filter((channel) => channel.opening);
  const first = retryLine(retry.next()) + (opening.length === 0 ? greet() : '');
  writeHead(res, headers);
  res.write(first);
  metrics.sentBytes += first.length;
  connection.begin({ greeted: opening.length === 0 });
  let left = opening.length;
  for (const channel of opening) {
    channel.whenSettled(() => {
      left -= 1;
      if (left === 0) connection.greet(greet);
    });
  }
}

function writeHead(res: HttpResponse, headers: StreamOptions['headers']): void {
  res.writeStatus('200 OK');
  for (const [name, value] of STREAM_HEADERS) res.writeHeader(name, value);
  for (const [name, value] of headers) res.writeHeader(name, value);
  // Whoever is told to come back must come by a new connection, or a load balancer has no say in where to.
  res.writeHeader('Connection', 'close');
}

/** `sidestream.open`, and what must be said of channels that cannot be fed. */
function greeting(
  { id, channels }: Connection,
  { hub, metrics, sse }: StreamContext,
  cursor: StreamOptions['cursor'],
): string {
  const opened = channels.map((channel): { channel: string; resume: Verdict; replayed: number } => {
    const resume = hub.verdict(channel, cursor);
    metrics.resumed(resume);
    return { channel: channel.name, resume, replayed: 0 };
  });
  if (!sse.control) return '\n';
  const unavailable = channels.filter((channel) => channel.unavailable);
  const gaps = unavailable.map((channel) => hub.gapEvent(channel, 'unavailable'));
  return encodeControl('sidestream.open', { connection: id, channels: opened }, hub.cursor) + gaps.join('');
}
