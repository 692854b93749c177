import { z } from 'zod';
import type { ChannelListing, HeldChannel, Page } from '../../hub/listing.ts';
import type { Destination } from '../../routing/router.ts';
import { matchesGlob } from '../glob.ts';
import { notFound } from '../not-found.ts';
import { ControlError, type Part, type Served, spread } from '../operation.ts';
import {
  channel,
  channels,
  connection,
  connections,
  describedConnection,
  heldChannel,
  listedChannel,
  type listedConnection,
} from '../operations/reading.ts';
import { mergeChannels, mergeConnections, startingAt } from './pages.ts';

/** A stream or a long poll, as control reads it. Times in milliseconds since the Unix epoch. */
export interface ReadStream {
  readonly connection: string;
  /** Its place in the order in which they came. */
  readonly ordinal: number;
  readonly user?: string;
  readonly address?: string;
  readonly transport: 'sse' | 'ndjson' | 'poll';
  readonly encoding?: string;
  readonly channels: readonly string[];
  readonly openedMs: number;
  readonly expiresMs?: number;
  readonly waitingBytes: number;
}

export interface StreamDetails extends ReadStream {
  readonly cursor?: string;
  readonly lastWriteMs?: number;
  readonly behindSinceMs?: number;
}

/** The streams of this instance. */
export interface ReadStreams {
  list(wanted: {
    readonly user: string | undefined;
    readonly channel: string | undefined;
    readonly address: string | undefined;
    /** Later ones than that with this ordinal. */
    readonly after: number;
    readonly limit: number;
    readonly maxBytes: number;
  }): Promise<Page<ReadStream>>;
  describe(connection: string): Promise<StreamDetails | undefined>;
}

/** What is known of a channel that was made at run time. */
export interface MadeChannel {
  /** RFC 3339. */
  readonly created?: string;
  readonly timeoutMs?: number;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface ReadingDeps {
  /** This one. */
  readonly instance: string;
  readonly streams: ReadStreams;
  readonly channels: Pick<ChannelListing, 'list' | 'describe'>;
  /** Where a channel is from; `undefined` where no route serves it. */
  resolve(channel: string): Destination | undefined;
  /** Of channels that were made. Default: none were. */
  describe?(channel: string): MadeChannel | undefined;
  /** Whether a channel that a route serves is there at all. Default: it is. */
  exists?(destination: Destination): boolean;
  /** What one answer may take, in bytes. */
  maxAnswerBytes(): number;
}

/** Of a listed channel as JSON, at most, in bytes: two names, a number and what is around them. */
const LISTED_CHANNEL_BYTES = 512;

/** The operations `channels`, `channel`, `connections` and `connection`. */
export function readingOperations(deps: ReadingDeps): Served[] {
  return [listChannels(deps), describeChannel(deps), listConnections(deps), describeConnection(deps)];
}

function listChannels({ channels: held, maxAnswerBytes }: ReadingDeps): Served {
  const most = (limit: number) => Math.min(limit, Math.ceil(maxAnswerBytes() / LISTED_CHANNEL_BYTES));
  return spread(channels, {
    part: z.strictObject({ list: z.array(listedChannel), more: z.boolean() }),
    each: async ({ active, filter, route, limit, after = '' }) => {
      const { list, more } = await held.list({
        matches: filter === undefined ? () => true : (name) => matchesGlob(filter, name),
        route,
        // Somebody may be on it elsewhere.
        isOccupied: active === true,
        after,
        limit: most(limit),
      });
      return { list: [...list], more };
    },
    merge: (parts, { active, limit }) => mergeChannels(parts, { active, limit: most(limit) }),
  });
}

function describeChannel({ channels: held, resolve, describe, exists }: ReadingDeps): Served {
  type Held = z.output<typeof heldChannel>;
  return spread(channel, {
    part: z.strictObject({ held: heldChannel.optional() }),
    each: (input) => {
      const found = held.describe(input.channel);
      return found === undefined ? {} : { held: toHeld(found) };
    },
    merge: (parts: readonly Part<{ held?: Held | undefined }>[], input) => {
      const destination = resolve(input.channel);
      if (destination === undefined)
        throw new ControlError('CHANNEL_NOT_FOUND', 'no route serves this channel');
      const on = parts.flatMap(({ instance, part }) =>
        part.held === undefined ? [] : [{ instance, ...part.held }],
      );
      const made = describe?.(input.channel);
      if (on.length === 0 && made === undefined && exists?.(destination) === false)
        throw new ControlError('CHANNEL_NOT_FOUND', 'a channel of this route must be made first');
      const created = made?.created ?? on.map(({ opened }) => opened).sort()[0];
      return {
        channel: input.channel,
        route: destination.route.name,
        subject: destination.subject,
        subscribers: on.reduce((sum, { subscribers }) => sum + subscribers, 0),
        ...(created !== undefined && { created }),
        ...(made?.timeoutMs !== undefined && { timeoutMs: made.timeoutMs }),
        ...(made?.metadata !== undefined && { metadata: made.metadata }),
        held: on.sort((a, b) => (a.instance < b.instance ? -1 : 1)),
      };
    },
  });
}

function listConnections({ instance, streams, maxAnswerBytes }: ReadingDeps): Served {
  return spread(connections, {
    part: z.strictObject({
      list: z.array(z.custom<PartConnection>(isPartConnection)),
      more: z.boolean(),
    }),
    each: async ({ user, channel: on, address, limit, after }) => {
      const start = startingAt(after, instance);
      if (start === undefined) return { list: [], more: false };
      const wanted = { user, channel: on, address, after: start, limit, maxBytes: maxAnswerBytes() };
      const { list, more } = await streams.list(wanted);
      return { list: list.map(toListed), more };
    },
    merge: (parts, { limit }) => mergeConnections(parts, { limit, maxBytes: maxAnswerBytes() }),
  });
}

type PartConnection = Omit<z.output<typeof listedConnection>, 'instance'> & { readonly ordinal: number };

// Only what is worked with here: a thousand of them checked in full take longer than a turn may.
function isPartConnection(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { connection: id, ordinal, channels: on } = value as Partial<Record<keyof PartConnection, unknown>>;
  return typeof id === 'string' && Number.isSafeInteger(ordinal) && Array.isArray(on);
}

function describeConnection({ instance: own, streams }: ReadingDeps): Served {
  return spread(connection, {
    part: z.strictObject({ found: describedConnection.optional() }),
    each: async (input) => {
      const found = await streams.describe(input.connection);
      return found === undefined ? {} : { found: { instance: own, ...toDetails(found) } };
    },
    merge(parts, _, missing) {
      const [found] = parts.flatMap(({ part }) => (part.found === undefined ? [] : [part.found]));
      if (found !== undefined) return found;
      throw notFound('CONNECTION_NOT_FOUND', 'it', missing);
    },
  });
}

function toHeld({ history, openedMs, isLingering, isUnavailable, ...rest }: HeldChannel) {
  const { oldestMs, newestMs, ...kept } = history;
  return {
    ...rest,
    opened: toDateTime(openedMs),
    lingering: isLingering,
    unavailable: isUnavailable,
    history: {
      ...kept,
      ...(oldestMs !== undefined && { oldest: toDateTime(oldestMs) }),
      ...(newestMs !== undefined && { newest: toDateTime(newestMs) }),
    },
  };
}

function toListed({ openedMs, expiresMs, channels: on, ...rest }: ReadStream) {
  return {
    ...rest,
    channels: [...on],
    opened: toDateTime(openedMs),
    ...(expiresMs !== undefined && { expires: toDateTime(expiresMs) }),
  };
}

function toDetails({ lastWriteMs, behindSinceMs, cursor, ...stream }: StreamDetails) {
  const { ordinal: _, ...rest } = toListed(stream);
  return {
    ...rest,
    ...(cursor !== undefined && { cursor }),
    ...(lastWriteMs !== undefined && { lastWrite: toDateTime(lastWriteMs) }),
    ...(behindSinceMs !== undefined && { slowSince: toDateTime(behindSinceMs) }),
  };
}

/** The last second of RFC 3339. A token may say anything of when it expires. */
const MAX_TIME_MS = 253_402_300_799_000;

/** RFC 3339. */
function toDateTime(ms: number): string {
  return new Date(Math.min(ms, MAX_TIME_MS)).toISOString();
}
