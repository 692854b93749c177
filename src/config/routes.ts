import { access, automatic } from './access.ts';
import { dynamic } from './dynamic.ts';
import { history, replay, warm } from './history.ts';
import { inbox } from './inbox.ts';
import { record, section } from './keys.ts';
import { duration, flag, LONGEST_DURATION, text } from './kinds.ts';
import { map, redact } from './payload.ts';
import { presence } from './presence.ts';
import { key, kv, stream } from './route-source.ts';
import { batch, latestBy, priority, rateLimit, slow, throttle } from './shaping.ts';

/** A route's name. Checked with the other rules and not by the record: there, a wrong name would hide what is inside. */
export const ROUTE_NAME_PATTERN = '^[a-z][a-z0-9_-]{0,63}$';

const route = section('One route: which channels browsers may ask for, and the subject that feeds each.', {
  channel: text({
    type: 'channel template',
    expected: 'a channel template like prices.{symbol}, in quotes where it begins with {',
    required: 'the channel template, like prices.{symbol}',
    description:
      'The channel names of this route: 1 to 256 of `A-Z a-z 0-9 _ . : ~ -`, where `{name}` stands for one value without dots. No channel name may match two routes.',
  }),
  subject: text({
    type: 'subject template',
    expected: 'a subject template like market.prices.{symbol}, in quotes where it begins with {',
    fallback: '**required** without `kv`',
    example: 'market.prices.{symbol}',
    description:
      'The NATS subject that feeds such a channel. Holds every `{name}` of the channel, each as a whole token; `*` takes any token, a last `>` any rest.',
  }).optional(),
  stream: stream.optional(),
  kv: kv.optional(),
  key: key.optional(),
  access,
  event: text({
    type: 'event template',
    expected: 'an event name or template like price or "{symbol}-tick", in quotes where it begins with {',
    description:
      'The event name for messages that bring none in an `Sse-Event` header; without it `message`, on a `kv` route `put`. A deleted key is always `delete`. May hold `{channel}`, `{subject}`, `{header.NAME}` and the `{name}`s of the channel; a header that the message lacks is empty text.',
    example: 'price',
  }).optional(),
  binary: flag({
    description: 'Sends payloads as base64. Set it where they are not UTF-8 text.',
  }).prefault(false),
  envelope: flag({
    description:
      'Wraps each payload in JSON: `{channel, subject, event, time, data}`. Set it when one stream carries several channels and the page must tell them apart.',
  }).prefault(false),
  trace: flag({
    description:
      'Whether the envelope also holds the `traceparent` and `tracestate` that the message brought. Set it where the page, or what it calls, goes on with the [trace](tracing.md); needs `envelope`.',
  }).prefault(false),
  linger: duration({
    min: '1ms',
    max: LONGEST_DURATION,
    zero: 'none',
    description:
      'How long the NATS subscription stays after its last reader left. Keep it above the longest `sse.retry`, so that a lone reader who reconnects finds it still there.',
  }).prefault('60s'),
  replay: replay.optional(),
  history,
  warm: warm.optional(),
  redact,
  map,
  throttle,
  rateLimit,
  batch,
  slow,
  latestBy: latestBy.optional(),
  priority,
  automatic: automatic.optional(),
  dynamic,
  presence,
  inbox,
});

/** What the config has under `channels:`. */
export const channels = record(route, {
  type: 'mapping of route names to routes',
  required: 'at least one route, like `prices: { channel: prices, subject: prices, access: public }`',
  description:
    'The routes, at least one, each under a name of your choice (a to z, 0 to 9, `_`, `-`) that labels its metrics and log lines.',
  json: { propertyNames: { pattern: ROUTE_NAME_PATTERN }, minProperties: 1 },
});

/** Routes to learn from; the first is shown with every key that a route has. */
export const exampleRoutes: readonly ExampleRoute[] = [
  {
    name: 'prices',
    about:
      'A channel for each symbol: who reads /events/prices.ACME gets what is published to market.prices.ACME.',
    values: {
      channel: 'prices.{symbol}',
      subject: 'market.prices.{symbol}',
      access: 'public',
      event: 'price',
    },
  },
  {
    name: 'chat',
    about:
      'A channel for each room. The envelope tells a page with several rooms on one stream which one spoke.',
    values: { channel: 'chat-{room}', subject: 'chat.room.{room}', access: 'public', envelope: true },
  },
  {
    name: 'logs',
    about:
      'One channel with everything that is published under `logs.`; each event is named after its subject.',
    values: { channel: 'logs', subject: 'logs.>', access: 'public', event: '{subject}' },
  },
  {
    name: 'notifications',
    about:
      'A channel for each user, which only a token of theirs opens. Needs a way to check tokens, under `auth`.',
    values: {
      channel: 'user-{id}',
      subject: 'notify.{id}.>',
      access: { where: { id: '{claims.sub}' } },
      automatic: 'authenticated',
    },
    isOff: true,
  },
  {
    name: 'orders',
    about:
      'From a JetStream stream: the last 20 events, then live ones, and whoever comes back gets what was missed. Needs a stream ORDERS that stores `orders.>`.',
    values: {
      channel: 'orders-{shop}',
      subject: 'orders.{shop}.>',
      stream: 'ORDERS',
      access: 'public',
      replay: 20,
    },
    isOff: true,
  },
  {
    name: 'settings',
    about: 'From a key-value bucket: the current value, then each change. Needs a bucket `settings`.',
    values: { channel: 'settings-{app}', kv: 'settings', key: 'app.{app}', access: 'public' },
    isOff: true,
  },
];

export interface ExampleRoute {
  readonly name: string;
  readonly about: string;
  readonly values: Readonly<Record<string, unknown>>;
  /** Commented out: it would not work as it is. */
  readonly isOff?: true;
}
