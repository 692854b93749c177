import type { Config } from '../config/schema.ts';
import type { Hub } from '../hub/hub.ts';
import type { Recovered } from '../hub/recovery.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { MAX_LOGS, type Position } from '../protocol/cursor.ts';
import { encodeControl, retryLine } from '../protocol/sse.ts';
import type { RefusalCode } from '../reasons.ts';
import type { Destination, Router } from '../routing/router.ts';
import { type ChannelState, REFUSED_STATES } from './channel-state.ts';
import type { Connection } from './connection.ts';
import { STREAM_HEADERS } from './refusal.ts';
import type { Chosen } from './renderings.ts';
import type { Retry } from './retry.ts';
import type { HttpResponse } from './uws.ts';

type Resolution =
  | { readonly found: readonly Destination[] }
  | { readonly refused: RefusalCode; readonly channel: string };

/**
 * Finds the route of every channel asked for; one that nobody serves refuses the request and is named. Closed ones are left out, unless
 * there are no others: who reads several goes on with the rest.
 */
export function resolveChannels(
  names: readonly string[],
  router: Router,
  stateOf: (destination: Destination) => ChannelState,
): Resolution {
  const found: Destination[] = [];
  for (const channel of names) {
    const destination = router.resolve(channel);
    if (destination === undefined) return { refused: 'CHANNEL_UNKNOWN', channel };
    const state = stateOf(destination);
    if (state === 'open') found.push(destination);
    else if (state !== 'closed') return { refused: REFUSED_STATES[state], channel };
  }
  const [channel] = names;
  return channel === undefined || found.length > 0 ? { found } : { refused: REFUSED_STATES.closed, channel };
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
  const logs = hub.logsOf(all).logs.length;
  if (logs > MAX_LOGS) return { refused: 'LOGS_TOO_MANY', channel: `${names.join()}: ${logs} logs` };
  return hub.hasRoomFor(names) ? undefined : { refused: 'CHANNEL_LIMIT', channel: names[0] ?? '' };
}

/** What all streams of a server share. */
export interface StreamContext {
  readonly hub: Hub;
  readonly metrics: Metrics;
  readonly retry: Retry;
  readonly log: Logger;
  readonly sse: Config['sse'];
}

export interface StreamOptions {
  readonly destinations: readonly Destination[];
  readonly cursor: readonly Position[] | undefined;
  /** Absent where nothing is chosen: plain events. */
  readonly chosen?: Chosen;
  readonly mediaType: string;
  /** Besides those of every stream. */
  readonly headers: readonly (readonly [string, string])[];
}

/**
 * Puts the connection on its channels, and writes the head and the first bytes. DESIGN 2.2.
 *
 * `sidestream.open` says "from now on", so it waits until each channel's feed is in place and what the client missed has
 * been read; its head and `retry:` go out at once, for the proxies' sake.
 */
export function openStream(
  connection: Connection,
  res: HttpResponse,
  context: StreamContext,
  options: StreamOptions,
): void {
  const { destinations, cursor } = options;
  const { hub, retry, log } = context;
  res.onAborted(() => connection.onAborted());
  for (const destination of destinations) hub.subscribe(connection, destination);
  // Mostly the greeting can follow at once, and both are one write.
  let first = retryLine(retry.next());
  writeHead(res, options);
  connection.begin();
  const recovery = hub.recovery(connection, connection.channels, cursor);
  connection.recovery = recovery;
  recovery.start(
    () => {
      connection.greet(() => greeting(connection, context, first, recovery.conclude()));
      first = '';
    },
    (error) => {
      log.debug({ connection: connection.id, error: String(error) }, 'what was missed could not be read');
      // Nothing is lost: the client has been given no other cursor than the one it brought.
      connection.close('overloaded');
    },
  );
  // As NDJSON a line of its own.
  if (first !== '') connection.writeFirst(connection.rendering?.takesParts === false ? `${first}\n` : first);
  first = '';
}

function writeHead(res: HttpResponse, { mediaType, chosen, headers }: StreamOptions): void {
  res.writeStatus('200 OK');
  // No charset: some Go clients compare the type exactly.
  res.writeHeader('Content-Type', mediaType);
  for (const [name, value] of STREAM_HEADERS) res.writeHeader(name, value);
  for (const [name, value] of chosen?.headers ?? []) res.writeHeader(name, value);
  for (const [name, value] of headers) res.writeHeader(name, value);
  // Whoever is told to come back must come by a new connection, or a load balancer has no say in where to.
  res.writeHeader('Connection', 'close');
}

/** What is left of the first bytes, `sidestream.open`, what must be said of channels that cannot be fed, and what is replayed. */
function greeting(
  { id, channels, rendering }: Connection,
  { hub, sse }: StreamContext,
  first: string,
  { channels: opened, cursor, replay }: Recovered,
): readonly Uint8Array[] {
  const parts = hub.replayParts(replay, {
    takesParts: rendering?.takesParts ?? true,
    sharesAll: rendering !== undefined,
  });
  if (!sse.control) return [Buffer.from(`${first}\n`), ...parts];
  const unavailable = channels.filter((channel) => channel.unavailable);
  const gaps = unavailable.map((channel) => hub.gapEvent(channel, 'unavailable'));
  const open = { connection: id, channels: opened };
  const told = encodeControl('sidestream.open', open, cursor === '' ? undefined : cursor);
  return [Buffer.from(first + told + gaps.join('')), ...parts];
}
