import { z } from 'zod';
import { isFieldValue } from '../../protocol/sse.ts';
import { RESERVED_EVENT_PREFIX } from '../../routing/event.ts';
import { isChannelName } from '../../routing/template.ts';
import type { Spec } from '../operation.ts';
import { longDuration } from './duration.ts';

/** Most messages of one batch. */
export const MAX_BATCH = 1000;
/** As the ingest reads it from `Sse-Event`. */
const MAX_EVENT_LENGTH = 256;
const MAX_ID_LENGTH = 256;
/** The largest that `Sse-Ttl` holds in milliseconds. */
const MAX_TTL_MS = 999_999_999;

/** Text that stays what it is as the value of a NATS header. */
const headerValue = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .refine((text) => isFieldValue(text) && text === text.trim() && !/\p{Surrogate}/u.test(text), {
      message: 'must have no line break, no NUL, no half of a surrogate pair, and no white space at its ends',
    });

const channelName = z.string().refine(isChannelName, { message: 'must be the name of a channel' });

const TARGETS = ['channel', 'subject', 'user', 'connection', 'broadcast'] as const;

/** One message: to whom, and what. */
export const message = z
  .strictObject({
    channel: channelName.optional().describe('To everybody on this channel, by the subject of its route.'),
    subject: z
      .string()
      .min(1)
      .max(1024)
      .optional()
      .describe('To the channel of a route that takes this subject.'),
    user: z
      .string()
      .min(1)
      .max(1024)
      .optional()
      .describe('To the channel of this user, or where no route has one, to all streams of theirs.'),
    route: z
      .string()
      .min(1)
      .max(64)
      .optional()
      .describe('With `user`: the route, where several have channels of one user.'),
    connection: z.string().min(1).max(128).optional().describe('To one stream, by its id.'),
    broadcast: z.literal(true).optional().describe('To every stream.'),
    data: z
      .unknown()
      .refine((value) => value !== undefined, { message: 'is required' })
      .describe('Text as it is; with `binary` base64. Anything else goes out as JSON.'),
    binary: z.boolean().optional().describe('Whether `data` is base64 of what is to go out.'),
    event: headerValue(MAX_EVENT_LENGTH)
      .refine((name) => !name.startsWith(RESERVED_EVENT_PREFIX), {
        message: `must not begin with ${RESERVED_EVENT_PREFIX}`,
      })
      .optional()
      .describe('The name of the event.'),
    priority: z
      .enum(['normal', 'high', 'urgent'])
      .optional()
      .describe('What goes first to a reader that is behind.'),
    ttl: longDuration(MAX_TTL_MS)
      .optional()
      .describe('How long it is worth replaying: a duration like `15m`, or milliseconds.'),
    id: headerValue(MAX_ID_LENGTH)
      .optional()
      .describe('`Nats-Msg-Id`: a second message with the same within the window for duplicates is dropped.'),
    persist: z.boolean().optional().describe('Refused unless a stream or bucket took it.'),
  })
  .refine((fields) => TARGETS.filter((name) => fields[name] !== undefined).length === 1, {
    message: `exactly one of ${TARGETS.join(', ')} must say to whom`,
  })
  .refine(({ user, route }) => route === undefined || user !== undefined, {
    message: 'route goes with user only',
  });

export type PublishInput = z.output<typeof message>;

/** What came of a message that was accepted. */
const accepted = z.strictObject({
  accepted: z.literal(true),
  channel: z.string().optional().describe('The channel that has it; absent for single streams.'),
  subject: z.string().optional().describe('The subject that it was published on.'),
  stream: z.string().optional().describe('The JetStream stream that took it.'),
  position: z
    .string()
    .optional()
    .describe("Its cursor, as `id:` shows it; where the route's own stream took it."),
  duplicate: z.boolean().optional().describe('Whether the stream had a message with this `id` already.'),
  connections: z.int().optional().describe('Of single streams: how many it was given to.'),
  instances: z
    .strictObject({ answered: z.array(z.string()), missing: z.array(z.string()) })
    .optional()
    .describe('Of single streams: which instances had a part.'),
});

export type Accepted = z.output<typeof accepted>;

const refused = z.strictObject({ error: z.strictObject({ code: z.string(), message: z.string() }) });

export type Result = Accepted | z.output<typeof refused>;

/** Whom a message is for, as the audit log tells it. */
export function targetOf(input: PublishInput): Readonly<Record<string, unknown>> {
  const { channel, subject, user, route, connection, broadcast } = input;
  return { channel, subject, user, route, connection, broadcast };
}

const CODES = [
  'CHANNEL_NOT_FOUND',
  'CHANNEL_CLOSED',
  'CONNECTION_NOT_FOUND',
  'USER_NOT_FOUND',
  'MESSAGE_TOO_LARGE',
  'NOT_PERMITTED',
  'NO_STREAM',
  'CONTROL_UNAVAILABLE',
] as const;

/** Of NATS, by default; what is larger would have to come in parts. */
const MAX_BYTES = 1024 * 1024;

export const publish: Spec<PublishInput, Accepted> = {
  name: 'publish',
  kind: 'publish',
  summary:
    'Publishes one message: to a channel by the subject of its route, to a user, to one stream, or to all.',
  input: message,
  output: accepted,
  codes: CODES,
  maxBytes: MAX_BYTES,
  target: targetOf,
};

/** Whom a message of a batch is for, for the log; it has not been checked. */
function nameOf(given: unknown): string {
  const fields = typeof given === 'object' && given !== null ? Object.entries(given) : [];
  const [kind = 'nobody', name] = fields.find(([field]) => TARGETS.some((name) => name === field)) ?? [];
  return typeof name === 'string' ? `${kind} ${name}` : kind;
}

const batchInput = z.strictObject({
  // Each is checked by itself: one that is wrong must not keep back the others.
  messages: z
    .array(z.unknown().meta(z.toJSONSchema(message)))
    .min(1)
    .max(MAX_BATCH),
});

const batchOutput = z.strictObject({
  accepted: z.int().describe('How many were accepted.'),
  refused: z.int().describe('How many were not.'),
  results: z.array(z.union([accepted, refused])).describe('What came of each, in the order they were given.'),
});

export type BatchInput = z.output<typeof batchInput>;
export type BatchOutput = z.output<typeof batchOutput>;

export const publishBatch: Spec<BatchInput, BatchOutput> = {
  name: 'publishBatch',
  kind: 'publish',
  summary: 'Publishes up to 1,000 messages, each as `publish` does and with a result of its own.',
  input: batchInput,
  output: batchOutput,
  codes: [],
  maxBytes: MAX_BYTES,
  target: ({ messages }) => ({ messages: messages.length, to: messages.map(nameOf) }),
};
