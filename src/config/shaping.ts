import { type Pointer, parsePointer } from '../routing/pointer.ts';
import { either, section, value } from './keys.ts';
import { choice, count, duration, rate } from './kinds.ts';
import { Misread } from './misread.ts';
import { POINTER_PATTERN } from './payload.ts';

/** Which events replace one another: those of one subject, or those with the same value at a place in their JSON. */
export type LatestByConfig = 'subject' | { readonly pointer: Pointer };

export interface RateLimitConfig {
  /** Events a second; may be a fraction. */
  readonly ratePerSecond: number;
  /** Events at once after a quiet time; at least 1. */
  readonly burst: number;
  readonly over: 'drop' | 'latest';
}

export interface BatchConfig {
  readonly windowMs: number;
  readonly as: 'events' | 'array';
}

/** What a route has under `slow`. */
export const slow = choice(['close', 'drop', 'latest'], {
  description:
    'What is done for a reader that is behind. `close` ends its stream when `limits.pending` or `limits.stalled` is passed; it comes back with its cursor and misses nothing: right for most. `drop` drops the oldest that wait, of the lowest priority first, and says `sidestream.gap`: for readers that rather miss something than start anew. `latest` keeps the newest event of each key (`latestBy`): for values, of which only the newest counts.',
}).prefault('close');

/** What a route has under `latestBy`. */
export const latestBy = value<LatestByConfig>(
  {
    form: 'text',
    type: '`subject`, JSON pointer',
    json: { type: 'string', pattern: `^subject$|${POINTER_PATTERN}` },
    expected: 'subject, or a JSON pointer like /symbol',
    read(input) {
      if (input === 'subject') return input;
      const pointer = typeof input === 'string' ? parsePointer(input) : undefined;
      return pointer === undefined || pointer.includes('*') ? new Misread() : { pointer };
    },
  },
  {
    description:
      'Which events replace one another, for `slow: latest`, `throttle` and `rateLimit`: those of one `subject`, or those with the same value at a JSON pointer. Set it where one subject carries values of several things. Without that value the subject counts.',
    example: '/symbol',
    fallback: '`subject`; with `kv` the key',
  },
);

/** What a route has under `priority`. */
export const priority = choice(['normal', 'high', 'urgent'], {
  description:
    'Of messages that bring no `Sse-Priority` header. Where events wait for a slow reader, the higher go first and are dropped last. Raise it on a route whose events must not wait behind others of the same stream, such as alarms.',
}).prefault('normal');

/** What a route has under `throttle`. */
export const throttle = duration({
  min: '100ms',
  max: '1h',
  zero: 'none',
  description:
    'At most one event of each key (`latestBy`) in this time, the newest; the last one always arrives. Use it where values change faster than anybody can look. It is done once per channel, in steps of 100ms; what is read again from a stream is not throttled.',
}).prefault('0s');

const publicationRate = {
  min: '1/h',
  max: '1000000/s',
  description: 'Events that one channel passes on, in the long run.',
} as const;

/** What a route has under `rateLimit`. */
export const rateLimit = either(
  rate(publicationRate),
  section('How much one channel passes on.', {
    rate: rate({ ...publicationRate, required: 'the rate, like 100/s', example: '100/s' }),
    burst: count({
      min: 1,
      max: 1_000_000,
      description: 'Events that may come at once after a quiet time.',
      example: '200',
      fallback: 'what one second is good for, at least `1`',
    }).optional(),
    over: choice(['drop', 'latest'], {
      description:
        'What is done with more: `drop` them, counted; or hold the `latest` of each key (`latestBy`) until the rate lets it through.',
    }).prefault('drop'),
  }),
  {
    description:
      'The most that one channel passes on, as a rate or a mapping. Use it as a fuse, so that a publisher that has run wild does not reach every browser; to thin out values use `throttle`.',
    example: '{ rate: 100/s, over: latest }',
  },
).optional();

const window = {
  min: '100ms',
  max: '1m',
  description: 'How long events are gathered, from the first on; in steps of 100ms.',
} as const;

/** What a route has under `batch`. */
export const batch = either(
  duration(window),
  section('How events are gathered.', {
    window: duration({ ...window, required: 'the time, like 250ms', example: '250ms' }),
    as: choice(['events', 'array'], {
      description:
        '`events` sends them one behind the other in one write; `array` as one event `batch`, whose data is a JSON array of `{event, data}`: for pages that redraw once per batch.',
    }).prefault('events'),
  }),
  {
    description:
      'Gathers events for a time and sends them together: fewer writes and wake-ups for the price of that delay. Use it where many small events go to many readers and nobody minds the delay. Under load events of one moment go together anyway.',
    example: '{ window: 250ms, as: array }',
  },
).optional();
