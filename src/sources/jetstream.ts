import {
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
} from '@nats-io/jetstream';
import { errors, type NatsConnection } from '@nats-io/transport-node';

/** Longest wait for one answer of JetStream. */
const REQUEST_TIMEOUT_MS = 3_000;

/** Makes no request: `$JS.API.INFO` needs not be permitted. */
export function openJetStream(connection: NatsConnection): Promise<JetStreamManager> {
  return jetstreamManager(connection, { checkAPI: false, timeout: REQUEST_TIMEOUT_MS });
}

/** What an error of the NATS client means for whoever needs the stream. */
export type Trouble =
  /** NATS does not permit a subject. */
  | { readonly kind: 'denied'; readonly subject: string }
  | { readonly kind: 'missing' }
  /** The server or the account is without JetStream, or a server is still starting. */
  | { readonly kind: 'absent' }
  /** A work queue: a consumer like ours would take its messages from the workers, so the server makes none. */
  | { readonly kind: 'queue' }
  /** No answer in time, no leader, a limit: asking again may do. */
  | { readonly kind: 'passing' };

/** JSConsumerFilterNotSubsetErr. */
const UNSTORED_CODE = 10093;

/** Whether a consumer was refused since nothing is stored under its one filter. nats-server 2.10 and later do not mind. */
export function isUnstored(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === UNSTORED_CODE;
}

/** JSConsumerWQRequiresExplicitAckErr and the other refusals of a work queue. */
const QUEUE_CODES: ReadonlySet<number> = new Set([10098, 10099, 10100, 10101]);

export function troubleOf(error: unknown): Trouble {
  const causes = [error, error instanceof Error ? error.cause : undefined];
  for (const cause of causes) {
    if (cause instanceof errors.PermissionViolationError) return { kind: 'denied', subject: cause.subject };
    if (cause instanceof JetStreamApiError && cause.code === JetStreamApiCodes.StreamNotFound)
      return { kind: 'missing' };
    if (cause instanceof JetStreamApiError && QUEUE_CODES.has(cause.code)) return { kind: 'queue' };
    // Its class is not exported. It stands for a server without JetStream and for an account without.
    if (cause instanceof Error && cause.name === 'JetStreamNotEnabled') return { kind: 'absent' };
  }
  return { kind: 'passing' };
}
