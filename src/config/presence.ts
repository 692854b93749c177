import { either, list, section } from './keys.ts';
import { choice, count, duration, flag, text } from './kinds.ts';

/** Who is on a route's channels, and who is told. */
export interface PresenceConfig {
  /** Names of claims that others are shown. */
  readonly claims: readonly string[];
  /** Whether the stream says who comes and goes. */
  readonly events: boolean;
  /** So long somebody may be away before they have left. */
  readonly leaveAfterMs: number;
  /** Who may know: whoever may read the channel, or the control plane alone. */
  readonly access: 'readers' | 'control';
}

/** Where a route does not say; also for channels of which only is followed whether anybody is there. */
export const LEAVE_AFTER_DEFAULT_MS = 15_000;

/** What a route has under `presence`. */
export const presence = either(
  flag({ description: 'Whether it is known who is on a channel.' }),
  section('Who is on a channel.', {
    claims: list(
      text({
        type: 'claim',
        expected: "a claim's name of up to 64 characters",
        pattern: '^[^\\u0000-\\u001f\\u007f]{1,64}$',
        description: "A claim's name.",
      }),
      {
        description:
          'Claims of the token that others are shown of a member, such as a name; up to 1 KiB of JSON each member. Nothing else of a token is shown but `sub`.',
        example: '[name]',
      },
    ).prefault([]),
    events: flag({
      description:
        'Whether the stream says who comes and goes: `sidestream.join` and `sidestream.leave`. Set it to false where pages only ask now and then.',
    }).prefault(true),
    leaveAfter: duration({
      min: '1s',
      max: '1h',
      description:
        'How long somebody may be away before they have left. Keep it above the longest `sse.retry`: then a page that reconnects has never been away.',
    }).prefault('15s'),
    access: choice(['readers', 'control'], {
      description:
        'Who may know it: the `readers` of the channel, in the stream and by `GET …/presence`; or only who may call the `control` plane.',
    }).prefault('readers'),
  }),
  {
    description:
      'Whether it is known who is on a channel, over all instances: `true`, or a mapping. [presence.md](presence.md).',
    example: '{ claims: [name], leaveAfter: 15s }',
    fallback: '`false`',
  },
).optional();

export const BACKEND_EVENTS = [
  'connected',
  'disconnected',
  'occupied',
  'vacated',
  'join',
  'leave',
  'instances',
] as const;

/** What backends can be told over NATS. */
export type BackendEvent = (typeof BACKEND_EVENTS)[number];

/** What the config has under `control.events`. */
export const events = list(
  choice(BACKEND_EVENTS, {
    description: 'What a backend is told of.',
  }),
  {
    description:
      'What is published on `<prefix>.event.…` for backends: streams that are `connected` and `disconnected`; channels that are `occupied` and `vacated`; members who `join` and `leave`, on routes with `presence`; `instances` that appear and are gone. [presence.md](presence.md#what-backends-are-told).',
    example: '[join, leave]',
  },
).prefault([]);

/** What the config has under `control.members`. */
export const members = count({
  min: 100,
  max: 10_000_000,
  description:
    'Members of all channels with `presence` that an instance knows by name, over all instances; 350 to 600 bytes each. Those beyond are counted, but not listed, and nobody is told when they come and go.',
}).prefault(100_000);
