import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import type { Destination, Router } from '../../routing/router.ts';
import { ControlError, type Served, single, spread } from '../operation.ts';
import { type CloseInput, type CreateInput, close, create, list } from '../operations/channels.ts';
import { toMs } from '../operations/duration.ts';
import type { ChannelBook } from './channel-book.ts';
import type { Decide } from './channel-keeper.ts';
import { listOf } from './channel-list.ts';
import { type ChannelEnd, type ChannelRecord, standingOf } from './channel-record.ts';

export interface ChannelOperationsDeps {
  readonly book: ChannelBook;
  readonly keeper: {
    change(
      channel: string,
      decide: Decide,
    ): Promise<{ readonly record: ChannelRecord; readonly isWritten: boolean }>;
  };
  readonly router: Router;
  readonly clock: Clock;
  /** When a channel expires, in milliseconds from now, where that is known. */
  expiresInMs(channel: string): number | undefined;
  /** What one page may take, in bytes. */
  maxPageBytes(): number;
  /** How many streams this instance has on a channel. */
  subscribers(channel: string): number;
}

/** Closings of one call that instances understand differently by no more than this, in milliseconds, are one. */
const SAME_MS = 5_000;

const createdPart = z.strictObject({
  createdMs: z.number(),
  timeoutMs: z.number().optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
  isNew: z.boolean(),
});

const closedPart = z.strictObject({
  isKnown: z.boolean(),
  closed: z.int(),
  persisted: z.boolean(),
  untilMs: z.number().optional(),
});

/** Making, closing and listing channels. */
export function channelOperations(deps: ChannelOperationsDeps): Served[] {
  return [
    // Every instance writes, the first for all: so each has it in its memory when the call is answered, and who is let in by any of
    // them at that moment finds the channel.
    spread(create, {
      part: createdPart,
      check: ({ channel }) => void served(channel, deps.router),
      each: (input) => make(input, deps),
      merge: (parts, { channel }) => {
        const [first] = parts;
        if (first === undefined)
          throw new ControlError('CONTROL_UNAVAILABLE', 'there is no JetStream to keep channels in');
        const { createdMs, isNew: _, ...about } = first.part;
        const route = served(channel, deps.router).route.name;
        const isNew = parts.some(({ part }) => part.isNew);
        return { channel, route, created: toDateTime(createdMs), ...about, isNew };
      },
    }),
    spread(close, {
      part: closedPart,
      check: ({ channel }) => void served(channel, deps.router),
      each: (input) => shut(input, deps),
      merge: (parts, { channel }) => {
        if (!parts.some(({ part }) => part.isKnown))
          throw new ControlError('CHANNEL_NOT_FOUND', 'the channel was not made, or has expired');
        const closed = parts.reduce((sum, { part }) => sum + part.closed, 0);
        const persisted = parts.some(({ part }) => part.persisted);
        // Who does not know the channel yet does not say until when.
        const known = parts.filter(({ part }) => part.isKnown);
        const untilMs = Math.max(...known.map(({ part }) => part.untilMs ?? Infinity));
        return { channel, closed, persisted, ...(untilMs < Infinity && { until: toDateTime(untilMs) }) };
      },
    }),
    single(list, (input) => listOf(input, deps)),
  ];
}

async function make(input: CreateInput, { keeper, clock }: ChannelOperationsDeps) {
  const { channel } = input;
  const { record, isWritten } = await keeper.change(channel, (known) => made(input, known, clock.wall()));
  const { createdMs = 0, timeoutMs, metadata } = record;
  return {
    createdMs,
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(metadata !== undefined && { metadata }),
    isNew: isWritten && input.update !== true,
  };
}

/** @throws ControlError CONFLICT */
function made(input: CreateInput, known: ChannelRecord | undefined, nowMs: number): ChannelRecord {
  const { channel, timeout, metadata, update } = input;
  const wanted = {
    ...(timeout !== undefined && { timeoutMs: toMs(timeout) }),
    ...(metadata !== undefined && { metadata }),
  };
  if (known === undefined || standingOf(known, nowMs) !== 'open')
    return { channel, createdMs: nowMs, ...wanted };
  const { timeoutMs, metadata: held, ...rest } = known;
  const there = {
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(held !== undefined && { metadata: held }),
  };
  if (isDeepStrictEqual(there, wanted)) return known;
  if (update === true) return { ...rest, ...wanted };
  throw new ControlError(
    'CONFLICT',
    'the channel is there with another timeout or metadata; update changes it',
  );
}

/** Acts before it waits for anything: the book ends the streams. */
async function shut(input: CloseInput, deps: ChannelOperationsDeps) {
  const { book, keeper, router, clock, subscribers } = deps;
  const { channel } = input;
  const destination = served(channel, router);
  const isKnown = !['unknown', 'loading'].includes(book.state(destination));
  if (!isKnown) return { isKnown, closed: 0, persisted: false };
  const nowMs = clock.wall();
  const untilMs = input.for === undefined ? undefined : nowMs + toMs(input.for);
  const end: ChannelEnd = { as: 'closed', atMs: nowMs, ...(untilMs !== undefined && { untilMs }) };
  const decide = (known: ChannelRecord | undefined) => closed(channel, end, known);
  const closedHere = subscribers(channel);
  const known = book.get(channel)?.record;
  const record = decide(known);
  if (record !== known && !book.take(record, undefined))
    throw new ControlError('CHANNELS_FULL', `${book.size} channels are made or closed`);
  const kept = await keep(keeper, channel, decide);
  const heldUntilMs = (kept ?? record).end?.untilMs;
  return {
    isKnown,
    closed: closedHere,
    persisted: kept !== undefined,
    ...(heldUntilMs !== undefined && { untilMs: heldUntilMs }),
  };
}

/** What the bucket has of it; `undefined` where it cannot be written. It is written when that can be, then. */
async function keep(keeper: ChannelOperationsDeps['keeper'], channel: string, decide: Decide) {
  try {
    return (await keeper.change(channel, decide)).record;
  } catch (error) {
    if (error instanceof ControlError) return undefined;
    throw error;
  }
}

/** A longer closing stays. */
function closed(channel: string, end: ChannelEnd, known: ChannelRecord | undefined): ChannelRecord {
  const { untilMs = Infinity } = end;
  const before = known?.end;
  const isCovered = before?.as === 'closed' && (before.untilMs ?? Infinity) >= untilMs - SAME_MS;
  return known !== undefined && isCovered ? known : { ...known, channel, end };
}

/** @throws ControlError CHANNEL_NOT_FOUND */
function served(channel: string, router: Router): Destination {
  const destination = router.resolve(channel);
  if (destination === undefined) throw new ControlError('CHANNEL_NOT_FOUND', 'no route serves this channel');
  return destination;
}

/** RFC 3339. */
function toDateTime(ms: number): string {
  return new Date(ms).toISOString();
}
