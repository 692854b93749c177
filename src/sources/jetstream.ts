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
  /** No answer in time, no leader, a limit: asking again may do. */
  | { readonly kind: 'passing' };

/** JSConsumerFilterNotSubsetErr. */
const UNSTORED_CODE = 10093;

/** Whether a consumer was refused since nothing is stored under its one filter. nats-server 2.10 and later do not mind. */
export function isUnstored(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === UNSTORED_CODE;
}

export function troubleOf(error: unknown): Trouble {
  const causes = [error, error instanceof Error ? error.cause : undefined];
  for (const cause of causes) {
    if (cause instanceof errors.PermissionViolationError) return { kind: 'denied', subject: cause.subject };
    if (cause instanceof JetStreamApiError && cause.code === JetStreamApiCodes.StreamNotFound)
      return { kind: 'missing' };
    // Its class is not exported. It stands for a server without JetStream and for an account without.
    if (cause instanceof Error && cause.name === 'JetStreamNotEnabled') return { kind: 'absent' };
  }
  return { kind: 'passing' };
}
