/** Why a call or a command was not acted on. Public: answers carry the code. docs/control.md lists the same; a test holds the two together. */
export const CONTROL_CODES = {
  CONTROL_TOO_LARGE:
    'The payload is larger than the operation takes: 16 KiB, where its section says no other.',
  CONTROL_MALFORMED: 'The payload is not one JSON object in UTF-8.',
  CONTROL_INVALID:
    'A field is unknown, missing, of the wrong type or out of range, or does not go with another.',
  CONTROL_FULL:
    'As many users and tokens are revoked as can be remembered. To revoke everybody, by `issuedBefore`, always works.',
  CONTROL_BUSY: 'More calls are under way and waiting than are taken; try again in a moment.',
  CONTROL_UNAVAILABLE:
    'What the operation needs is not there: NATS, JetStream, what the config does not turn on, or a worker that can take the call.',
  CONTROL_UNKNOWN: 'There is no operation of this name.',
  INSTANCE_NOT_FOUND: 'No instance that is known has this id.',
  CONTROL_FAILED: 'The instance could not act; its log says why.',
  CONTROL_DISABLED: 'Over HTTP: `ops.token` is not set, so nothing below `/api/` is there.',
  CONTROL_UNAUTHORIZED: 'Over HTTP: no `Authorization: Bearer` with the token of `ops.token`.',
  CONTROL_METHOD: 'Over HTTP: the operation wants the other method; `Allow` says which.',
  CONTROL_MEDIA_TYPE: 'Over HTTP: the body is said to be something else than JSON.',
  CONTROL_TIMEOUT: 'Over HTTP: the body did not come within 10 seconds.',
  CHANNEL_NOT_FOUND: 'There is no such channel.',
  CONNECTION_NOT_FOUND: 'No instance that answered has that connection.',
  USER_NOT_FOUND: 'No instance that answered has a stream of that user.',
  NOT_PERMITTED:
    'The rights of the connection’s user do not allow it; or it is about a subject that no route takes, or that NATS refuses.',
  MESSAGE_TOO_LARGE: 'The message is larger than `limits.event`, or than NATS takes.',
  NO_STREAM: 'No JetStream stream took the message, though it was to be kept.',
  CHANNEL_CLOSED: 'The channel was closed.',
  CHANNELS_FULL: 'As many channels are made and closed as can be remembered: 20,000.',
  CONFLICT: 'It contradicts what is there; the message says what.',
} as const;

/** Why any call over HTTP may be refused, whatever it asks for. */
export const API_CODES = [
  'CONTROL_MALFORMED',
  'CONTROL_INVALID',
  'CONTROL_UNAUTHORIZED',
  'CONTROL_DISABLED',
  'CONTROL_METHOD',
  'CONTROL_TIMEOUT',
  'CONTROL_TOO_LARGE',
  'CONTROL_MEDIA_TYPE',
  'CONTROL_BUSY',
  'CONTROL_FAILED',
  'CONTROL_UNAVAILABLE',
] as const;

export type ControlCode = keyof typeof CONTROL_CODES;
