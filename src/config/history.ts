import { section, type ValueOptions, value } from './keys.ts';
import { count, duration, LONGEST_DURATION, size } from './kinds.ts';
import { Misread } from './misread.ts';
import { DURATION_PATTERN, parseDuration } from './units.ts';

/** What a connection without a cursor is sent of what was published before. */
export type ReplayConfig =
  | { readonly kind: 'none' }
  /** The newest of the channel; `last` is a count of 1. */
  | { readonly kind: 'last'; readonly count: number }
  | { readonly kind: 'all' }
  | { readonly kind: 'since'; readonly ageMs: number };

/** What is kept in memory, per channel. */
export interface HistoryConfig {
  /** Events. 0: nothing. */
  readonly size: number;
  readonly ageMs: number;
  readonly bytes: number;
}

/** Where `history` does not say, by what feeds the route. */
export const HISTORY_DEFAULTS = {
  core: { size: 100, ageMs: 60_000 },
  stream: { size: 1000, ageMs: 300_000 },
  kv: { size: 1000, ageMs: 300_000 },
} as const;

/** Where `warm` does not say, on a stream route whose history is not shorter. */
export const WARM_DEFAULT_MS = 300_000;

/** Of one channel: as many events of 1 KiB as fill the most that `bytes` may be. */
const MAX_EVENTS = 1_000_000;
/** The most that `limits.replay` may be, so that no join is longer than some seconds. */
export const MAX_REPLAY = 100_000;
/** Streams keep far longer than a process lives; no timer is set to it. */
const LONGEST_REPLAY = '366d';

/** What a route has under `replay`. */
export const replay = replayValue({
  description:
    'What a connection is sent of the past when it brings no cursor: `none`, the `last` event, so many, `all`, or those of a duration; at most `limits.replay`. A core route has only what `history` keeps.',
  example: '20',
  fallback: '`none`; with `kv` always the current values',
});

/** What a route has under `history`. */
export const history = section(
  'What is kept in memory of each channel, so that browsers that come back are served from there. A bound that is passed drops the oldest.',
  {
    size: count({
      min: 1,
      max: MAX_EVENTS,
      zero: 'nothing',
      description: 'Events. Raise it where more are published while browsers reconnect.',
      example: '100',
      fallback: '`100`; with `stream` or `kv` `1000`',
    }).optional(),
    age: duration({
      min: '100ms',
      max: LONGEST_DURATION,
      description: 'How long an event is kept. Keep it above the longest `sse.retry`.',
      example: '1m',
      fallback: '`1m`; with `stream` or `kv` `5m`',
    }).optional(),
    bytes: size({
      min: '1KiB',
      max: '1GiB',
      description: 'Memory of one channel. All channels together take no more than `limits.history`.',
    }).prefault('1MiB'),
  },
).prefault({});

/** What a route has under `warm`. */
export const warm = duration({
  min: '1s',
  max: LONGEST_DURATION,
  zero: 'not at all',
  description:
    'Only with `stream`: how far back memory is filled from the stream at start, so that browsers that come back after a restart do not read it one by one.',
  example: '5m',
  fallback: '`5m` with `stream`, or `history.age` where that is less',
});

function replayValue(options: ValueOptions) {
  return value<ReplayConfig>(
    {
      form: 'text',
      type: `\`none\`, \`last\`, whole number 1 to ${MAX_REPLAY}, \`all\`, or duration 1s to ${LONGEST_REPLAY}`,
      json: {
        anyOf: [
          { enum: ['none', 'last', 'all'] },
          { type: 'integer', minimum: 1, maximum: MAX_REPLAY },
          { type: 'string', pattern: DURATION_PATTERN },
        ],
      },
      expected: `none, last, all, a whole number from 1 to ${MAX_REPLAY}, or a duration like 10m from 1s to ${LONGEST_REPLAY}`,
      read: readReplay,
    },
    options,
  );
}

function readReplay(input: unknown): ReplayConfig | Misread {
  if (input === 'none' || input === 'all') return { kind: input };
  if (input === 'last') return { kind: 'last', count: 1 };
  // Text where it came from the environment; a duration is told apart by its unit.
  const events = typeof input === 'string' && /^\d+$/.test(input) ? Number(input) : input;
  if (events === 0) return new Misread('write none');
  if (typeof events === 'number') {
    const isCount = Number.isInteger(events) && events > 0 && events <= MAX_REPLAY;
    return isCount ? { kind: 'last', count: events } : new Misread();
  }
  const ageMs = typeof events === 'string' ? parseDuration(events) : undefined;
  const [least, most] = [parseDuration('1s') ?? 0, parseDuration(LONGEST_REPLAY) ?? 0];
  if (ageMs === undefined || ageMs < least || ageMs > most) return new Misread();
  return { kind: 'since', ageMs };
}
