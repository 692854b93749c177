import { section } from './keys.ts';
import { duration, flag, text } from './kinds.ts';
import { type BackendEvent, events, members } from './presence.ts';

/** What instances tell each other, and are told, over NATS. */
export interface ControlConfig {
  /** Begins the subjects of commands. */
  readonly prefix: string;
  /** The key-value bucket of revocations. */
  readonly bucket: string;
  /** The key-value bucket of used tickets; another than `bucket`. */
  readonly ticketBucket: string;
  /** The key-value bucket of channels that were made or closed at run time; another than both. */
  readonly channelBucket: string;
  /** The key-value bucket of what users have read. */
  readonly inboxBucket: string;
  readonly revocationTtlMs: number;
  /** Whether nobody is let in before the bucket of revocations was read. */
  readonly requireJetStream: boolean;
  /** Whether the operations are offered as a NATS service. */
  readonly api: boolean;
  /** How long other instances are waited for, in milliseconds. */
  readonly deadlineMs: number;
  /** What backends are told over NATS. */
  readonly events: readonly BackendEvent[];
  /** Members of presence that are known by name. */
  readonly members: number;
}

/** What the config has under `control:`. */
export const control = section(
  'The control plane: what backends and operators ask and do over NATS, and what instances tell each other; [control.md](control.md).',
  {
    prefix: text({
      type: 'subject prefix',
      expected: 'a subject without wildcards like sidestream',
      pattern: '^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$',
      description:
        'What the subjects of the control plane begin with. Change it where several clusters of bridges share one NATS account.',
    }).prefault('sidestream'),
    bucket: text({
      type: 'bucket name',
      expected: 'a name of A-Z a-z 0-9 _ -',
      pattern: '^[A-Za-z0-9_-]+$',
      description:
        'The JetStream key-value bucket that keeps revocations over restarts; it is made where it is missing. Without JetStream they are kept in memory only, and the log says so.',
    }).prefault('sidestream_revocations'),
    ticketBucket: text({
      type: 'bucket name',
      expected: 'a name of A-Z a-z 0-9 _ -',
      pattern: '^[A-Za-z0-9_-]+$',
      description:
        'The JetStream key-value bucket by which instances tell each other which tickets (`auth.jwt[].ticket`) were used; it is made where it is missing. Without JetStream each instance takes a ticket once, and the log says so.',
    }).prefault('sidestream_tickets'),
    channelBucket: text({
      type: 'bucket name',
      expected: 'a name of A-Z a-z 0-9 _ -',
      pattern: '^[A-Za-z0-9_-]+$',
      description:
        'The JetStream key-value bucket that keeps the channels which were made or closed at run time ([`create`](control.md#create), [`close`](control.md#close)); it is made where it is missing. Without JetStream none can be made, and instances forget at their end what was closed.',
    }).prefault('sidestream_channels'),
    inboxBucket: text({
      type: 'bucket name',
      expected: 'a name of A-Z a-z 0-9 _ -',
      pattern: '^[A-Za-z0-9_-]+$',
      description:
        'The JetStream key-value bucket that keeps what users have read of their [inboxes](inbox.md); it is made where it is missing. Nobody is asked for it where no route has `inbox`.',
    }).prefault('sidestream_inbox'),
    revocationTtl: duration({
      min: '1m',
      // As `maxTokenAge`. It is a time of the server's, not of a timer of ours.
      max: '366d',
      description:
        'How long a revocation is remembered that says no `expires`. Keep it above the longest time for which a token is good, or a stream of a ticket lasts.',
    }).prefault('1d'),
    requireJetStream: flag({
      description:
        'Whether nobody is let in before the bucket of revocations was read. Set it to true where there is JetStream: otherwise a process that finds none as it starts, because its servers cannot be reached or a permission is missing, takes it that nothing was revoked until it finds it.',
    }).prefault(false),
    api: flag({
      description:
        'Whether the operations of the control plane are offered as a NATS service, `<prefix>.api.<operation>`. NATS permissions say who may call them. Over HTTP they are offered where `ops.token` is set, whatever this says.',
    }).prefault(true),
    deadline: duration({
      min: '100ms',
      max: '1m',
      description:
        'How long an operation waits for the other instances. Those that have not answered by then are named in the answer as `missing`.',
    }).prefault('2s'),
    events,
    members,
  },
).prefault({});
