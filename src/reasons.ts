/** `reason` of `sidestream.close`: why a stream ended. Also the label of `sidestream_connections_closed_total`. */
export const CLOSE_REASONS = {
  draining: 'This instance is shutting down; come back after `retry`.',
  'max-age': 'The stream reached `sse.maxAge`; come back after `retry`.',
  expired: 'The token reached its expiry; come back with a new one.',
  revoked: 'The token was revoked.',
  disconnected:
    'The backend ended the stream; come back after `retry`, or with `reconnect: false` not at all.',
  'channel-closed': 'The last channel of the stream was closed; do not come back.',
  reconfigured:
    'By a new config nothing is left that the stream may read, or it could not be found out; come back after `retry`.',
  slow: 'The reader stayed behind `limits.pending` or `limits.stalled`, or all slow readers together passed `limits.pendingTotal`.',
  overloaded: 'Refused in-band: a limit is reached, the instance drains, or NATS is not there yet.',
} as const;

export type CloseReason = keyof typeof CLOSE_REASONS;

/** `reason` of `sidestream.unsubscribed`: why a stream is no longer on a channel. */
export const UNSUBSCRIBE_REASONS = {
  unsubscribed: 'The backend took the stream off the channel.',
  'channel-closed': 'The channel was closed.',
  removed: 'A new config has no route for the channel.',
  forbidden: 'By a new config the stream may not read the channel.',
} as const;

export type UnsubscribeReason = keyof typeof UNSUBSCRIBE_REASONS;

/** Why publications were missed: `reason` of `sidestream.gap`. */
export const GAP_REASONS = {
  disconnected: 'The connection to NATS was lost and is back; what was published meanwhile is gone.',
  unavailable:
    'NATS does not permit it, the stream or bucket does not exist, or there is no JetStream; the bridge keeps trying.',
  available:
    'What was unavailable can be had: a stream or bucket is read on from where it was; on a core route what was published meanwhile is gone.',
  error: 'A message could not be mapped and was dropped; the log has why.',
  'too-large': 'A message over `limits.event` was dropped.',
  evicted: 'What came after the cursor is no longer in memory, and was kept nowhere else.',
  'too-old': 'The stream no longer holds what came after the cursor: its retention ended.',
  purged: 'The stream was purged of what came after the cursor.',
  'too-many': 'More was missed than `limits.replay`; the newest of it was sent.',
  recreated: 'The stream was deleted, and made anew or not at all; positions in the old one are void.',
  slow: 'The reader was behind, and the route (`slow: drop`) drops what waits for such readers; `skipped` says how many events.',
  changed: 'A new config feeds the channel from elsewhere: what comes from here on is of another feed.',
  epoch: 'The cursor is of another log: another process, or a stream that was made anew since.',
} as const;

export type GapReason = keyof typeof GAP_REASONS;

/** Why a request was not given a stream: the label of `sidestream_requests_refused_total`, the `code` of its answer. */
export const REFUSAL_CODES = {
  CONNECTION_LIMIT: '`limits.connections` is reached.',
  CONNECTION_LIMIT_IP: '`limits.connectionsPerIp` is reached for this address.',
  CONNECTION_LIMIT_CHANNEL: '`limits.connectionsPerChannel` is reached on a channel that was asked for.',
  CONNECTION_LIMIT_USER: '`limits.connectionsPerUser` is reached for this user.',
  CHANNEL_LIMIT: '`limits.channels` is reached.',
  CONNECT_RATE: 'More streams are being opened than `limits.connectRate`.',
  DRAINING: 'This instance is shutting down.',
  NATS_NOT_READY:
    'NATS was not reached yet, or what it keeps of revocations or of channels was not read yet; or a new config changed the route meanwhile.',
  AUTH_UNAVAILABLE: 'Whoever can check the token, or the right to a channel, does not answer.',
  AUTH_RATE:
    'Too many bad tokens came from this address, or too many requests at a time that have to be checked.',
  TOKEN_MISSING: 'A channel that was asked for needs a token.',
  TOKEN_INVALID: 'The token is malformed, not signed by a known key, or not meant for this place or time.',
  TOKEN_EXPIRED: 'The token has expired.',
  TOKEN_REVOKED: 'The token was revoked.',
  TOKEN_USED: 'The one-time ticket has opened a stream already.',
  CHANNEL_FORBIDDEN:
    'Whoever asks, with this token or without one, may not read a channel that was asked for.',
  CHANNEL_MALFORMED:
    'A channel name is empty, too long or holds other characters than `A-Z a-z 0-9 _ . : ~ -`.',
  CHANNEL_UNKNOWN:
    'No route serves a channel that was asked for, or its route is `dynamic` and nobody made it.',
  CHANNEL_CLOSED: 'The channels that were asked for were closed.',
  CHANNELS_MISSING: 'The request names no channel, neither in its path nor in `?channels=`.',
  CHANNELS_TOO_MANY: 'The request names more channels than `limits.channelsPerConnection`.',
  LOGS_TOO_MANY:
    'The channels are of more than five logs (streams and buckets; all core routes count as one).',
  CURSOR_MALFORMED: '`Last-Event-ID` or `lastEventId` is not a cursor of ours.',
  STREAM_CLOSED:
    'The cursor is the one with which a stream was ended for good; who opens it anew brings none.',
  WAIT_MALFORMED: '`wait` of a long poll is not a duration from `0s` to `60s`.',
  LIMIT_MALFORMED: '`limit` of a long poll is not a whole number from 1 to `limits.replay`.',
  REQUEST_RATE: 'More is being asked beside streams than `limits.connectRate`.',
  REQUEST_LIMIT:
    'As much is being asked at a time beside streams, of this instance or from this address, as may be.',
  REQUEST_FAILED: 'The request could not be answered; the log of the instance says why.',
  BODY_TOO_LARGE: 'The body is larger than 16 KiB.',
  BODY_TYPE: 'The body is not said to be `application/json`.',
  BODY_MALFORMED: 'The body is not JSON in UTF-8.',
  NOT_ACCEPTABLE: 'The request accepts none of the media types served here.',
  METHOD_NOT_ALLOWED: 'Streams are opened with GET; `Allow` says what else there is at the path.',
  BODY_NOT_ALLOWED: 'The request carries a body.',
  NOT_FOUND: 'Nothing is served at this path.',
} as const;

export type RefusalCode = keyof typeof REFUSAL_CODES;

/** Why a live stream was not put on a channel, or taken off it, besides what a request for the channel would be refused for. */
export const ACT_REFUSALS = {
  POLL: 'It is a long poll, which is answered once.',
  SLOW: 'More waits for its reader than `limits.pending`.',
  NOT_LIVE:
    'It ended meanwhile, or 16 acts on it wait already, or what it needs did not come within three quarters of `control.deadline`. Nothing is done later.',
} as const;

export type ActRefusal = keyof typeof ACT_REFUSALS | RefusalCode;
