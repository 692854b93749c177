import { z } from 'zod';
import { Queue } from '../queue.ts';
import type { Destination } from '../routing/router.ts';
import type { ControlCode } from './codes.ts';
import { notFound } from './not-found.ts';
import { ControlError, type Part, type Served, spread } from './operation.ts';
import {
  type ActOutput,
  actShape,
  subscribe,
  type UnsubscribeInput,
  unsubscribe,
} from './operations/acting.ts';

/** By channel, why not; those that are not named are as they were to be. */
type Refusals = ReadonlyMap<string, string>;

export interface ActingDeps<S> {
  resolve(channel: string): Destination | undefined;
  /** Streams of this instance. */
  pick(whose: { readonly connection: string } | { readonly user: string }): readonly S[];
  /** Neither rejects. */
  subscribe(
    stream: S,
    destinations: readonly Destination[],
    how: { readonly isVouched: boolean },
  ): Promise<Refusals>;
  unsubscribe(stream: S, channels: readonly string[]): Promise<Refusals>;
}

/** Streams of one call that are seen to at a time: for each somebody may have to be asked. */
const CONCURRENCY = 16;
/** What a call is refused with where nothing came of it; all else is a `CONFLICT`. */
const CODES: Readonly<Record<string, ControlCode>> = {
  CHANNEL_UNKNOWN: 'CHANNEL_NOT_FOUND',
  CHANNEL_FORBIDDEN: 'NOT_PERMITTED',
  TOKEN_MISSING: 'NOT_PERMITTED',
  TOKEN_REVOKED: 'NOT_PERMITTED',
  AUTH_UNAVAILABLE: 'CONTROL_UNAVAILABLE',
  NATS_NOT_READY: 'CONTROL_UNAVAILABLE',
};

/** `subscribe` and `unsubscribe`. */
export function actingOperations<S>(deps: ActingDeps<S>): Served[] {
  const part = z.object(actShape);
  return [
    spread(subscribe, {
      part,
      check({ channels }) {
        if (channels.some((channel) => deps.resolve(channel) === undefined))
          throw new ControlError('CHANNEL_NOT_FOUND', 'no route serves a channel of these');
      },
      each(input) {
        const channels = [...new Set(input.channels)];
        const found = channels.flatMap((channel) => deps.resolve(channel) ?? []);
        const how = { isVouched: input.vouched ?? false };
        return actOn(deps, input, channels, (stream) => deps.subscribe(stream, found, how));
      },
      merge: (...all) => merge(...all),
    }),
    spread(unsubscribe, {
      part,
      each(input) {
        const channels = [...new Set(input.channels)];
        return actOn(deps, input, channels, (stream) => deps.unsubscribe(stream, channels));
      },
      merge: (...all) => merge(...all),
    }),
  ];
}

async function actOn<S>(
  { pick }: Pick<ActingDeps<S>, 'pick'>,
  { user, connection = '' }: UnsubscribeInput,
  channels: readonly string[],
  act: (stream: S) => Promise<Refusals>,
): Promise<ActOutput> {
  const streams = pick(user === undefined ? { connection } : { user });
  const queue = new Queue(CONCURRENCY);
  const refusals = await Promise.all(streams.map((stream) => queue.run(() => act(stream))));
  return {
    streams: streams.length,
    channels: channels.map((channel) => {
      const codes = refusals.flatMap((refused) => refused.get(channel) ?? []);
      return {
        channel,
        done: streams.length - codes.length,
        refused: counted(codes.map((code) => ({ code, streams: 1 }))),
      };
    }),
  };
}

function merge(
  parts: readonly Part<ActOutput>[],
  { connection, channels }: UnsubscribeInput,
  missing: readonly string[],
): ActOutput {
  const streams = parts.reduce((sum, { part }) => sum + part.streams, 0);
  if (streams === 0) {
    if (connection !== undefined) throw notFound('CONNECTION_NOT_FOUND', 'it', missing);
    throw notFound('USER_NOT_FOUND', 'a stream of theirs', missing);
  }
  const merged = [...new Set(channels)].map((channel) => {
    const found = parts.flatMap(({ part }) => part.channels.filter((result) => result.channel === channel));
    const done = found.reduce((sum, result) => sum + result.done, 0);
    return { channel, done, refused: counted(found.flatMap(({ refused }) => refused)) };
  });
  if (merged.every(({ done }) => done === 0)) throw refusalOf(merged);
  return { streams, channels: merged };
}

function counted(refusals: readonly { readonly code: string; readonly streams: number }[]) {
  const counts = new Map<string, number>();
  for (const { code, streams } of refusals) counts.set(code, (counts.get(code) ?? 0) + streams);
  return [...counts].map(([code, streams]) => ({ code, streams }));
}

/** Nothing was done. */
function refusalOf(results: ActOutput['channels']): ControlError {
  const codes = [...new Set(results.flatMap(({ refused }) => refused.map(({ code }) => code)))];
  const [first = ''] = codes;
  return new ControlError(CODES[first] ?? 'CONFLICT', `nothing was done: ${codes.join(', ')}`);
}
