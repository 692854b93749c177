/**
 * Every code an error of ours can carry, with what it means. `docs/errors.md` lists the same codes; a test holds the
 * two together. Codes are public: logs, JSON bodies and metrics labels carry them, so they never change meaning.
 */
export const ERROR_CODES = {
  CONFIG_INVALID: 'The config file has one or more problems; each is listed with its place.',
  CONFIG_UNREADABLE: 'The config file cannot be read.',
  TEMPLATE_INVALID: 'A channel, subject or event template is malformed or does not round-trip.',
  UWS_UNAVAILABLE: 'No uWebSockets.js binary loads on this platform, Node version and libc.',
  LISTEN_FAILED: 'An address cannot be listened on.',
  NATS_OPTIONS_INVALID: 'A NATS credential, key or certificate file cannot be read or is malformed.',
  NATS_UNREACHABLE: 'A worker cannot reach NATS that was to take the place of one that lets streams in.',
  WORKER_DIED: 'Workers end as soon as they are started, and none is left that serves.',
  TOKEN_UNSIGNABLE: 'The config holds no key with which `sidestream token` could sign.',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface ErrorDetails {
  readonly cause?: unknown;
  /** Structured fields for the log line: never a secret, a payload or a query string. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** The one error class: what happened, where, what was received and how to mend it, under a stable code. */
export class SidestreamError extends Error {
  override readonly name = 'SidestreamError';
  readonly code: ErrorCode;
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.fields = details.fields ?? {};
  }
}

/** What was thrown, as text for the log: its message, where it has one. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
