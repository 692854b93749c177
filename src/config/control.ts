import { section } from './keys.ts';
import { duration, flag, text } from './kinds.ts';

/** What instances tell each other, and are told, over NATS. */
export interface ControlConfig {
  /** Begins the subjects of commands. */
  readonly prefix: string;
  /** The key-value bucket of revocations. */
  readonly bucket: string;
  /** The key-value bucket of used tickets; another than `bucket`. */
  readonly ticketBucket: string;
  readonly revocationTtlMs: number;
  /** Whether nobody is let in before the bucket of revocations was read. */
  readonly requireJetStream: boolean;
}

/** What the config has under `control:`. */
export const control = section(
  'Commands over NATS to every instance: revoke tokens, end streams. On wherever tokens are checked under `auth`; [control.md](control.md).',
  {
    prefix: text({
      type: 'subject prefix',
      expected: 'a subject without wildcards like sidestream',
      pattern: '^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$',
      description:
        'What the subjects of commands begin with. Change it where several clusters of bridges share one NATS account.',
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
  },
).prefault({});
