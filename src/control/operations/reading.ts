import { z } from 'zod';
import { isChannelName } from '../../routing/template.ts';
import type { Spec } from '../operation.ts';

/** A spec of an operation that every instance has a part in. */
type Fanned<I, O> = Spec<z.output<I & z.ZodType>, z.output<O & z.ZodType>> & { readonly fansOut: true };

const count = z.int().min(0);
const time = z.iso.datetime();
const channelName = z.string().refine(isChannelName, { message: 'must be the name of a channel' });
const limit = z.int().min(1).max(1000).default(100).describe('Most that one answer holds.');
const next = z.string().optional().describe('Give it as `after`, and what follows comes. Absent at the end.');

export const connectionCounts = z.strictObject({ total: count, sse: count, ndjson: count, poll: count });
export const channelCounts = z.strictObject({ held: count, occupied: count, lingering: count });

/** Each in so many a second. */
const rates = z.strictObject({
  publications: z.number(),
  deliveries: z.number(),
  sentBytes: z.number(),
  connects: z.number(),
});

const peak = z.strictObject({
  connections: count,
  time: time.optional().describe('When first. Absent where there was no stream yet.'),
});

/** What is said alike of one instance and of all. */
const figures = {
  connections: connectionCounts.describe('Open now.'),
  channels: channelCounts,
  publications: count.describe('Messages taken from NATS and mapped by a route.'),
  publishedBytes: count.describe('What these are as events.'),
  averageEventBytes: z.number().describe('Of a publication, as an event.'),
  deliveries: count.describe('Events handed to connections.'),
  sentBytes: count.describe('Handed to the socket layer.'),
  opened: count.describe('Streams and long polls that were let in.'),
  refused: count.describe('Requests that got no stream.'),
  slow: count.describe('Streams whose reader is behind now.'),
  closedSlow: count.describe('Streams that were ended since their reader was too slow.'),
  pendingBytes: count.describe('What waits for slow readers.'),
  rates: z.strictObject({ over10s: rates, over60s: rates }).describe('A second, over the last 10 and 60.'),
};

/** One instance. */
export const instanceStats = z.strictObject({
  ...figures,
  peak,
  users: count.describe('Distinct subjects of tokens.'),
  uptimeSeconds: z.number(),
  memory: z.strictObject({ rss: count, heapUsed: count }).describe('Of its process, in bytes.'),
});

const statsInput = z.strictObject({});
const statsOutput = z.strictObject({
  ...figures,
  peak: peak.describe('Of the cluster as a whole, looked at once a second.'),
  users: z.strictObject({ count, exact: z.boolean() }).describe('Distinct subjects of tokens.'),
  each: z.array(instanceStats.extend({ instance: z.string() })),
});

export const stats: Fanned<typeof statsInput, typeof statsOutput> = {
  name: 'stats',
  kind: 'read',
  summary:
    'What is going on: streams, channels, messages, bytes, rates; of the cluster and of each instance.',
  input: statsInput,
  output: statsOutput,
  codes: [],
  fansOut: true,
};

const channelsInput = z.strictObject({
  active: z.boolean().optional().describe('Only those that somebody is on, or that nobody is on.'),
  filter: z
    .string()
    .min(1)
    .max(256)
    .optional()
    .describe('What the whole name must be; `*` stands for any characters, or none.'),
  route: z.string().min(1).max(64).optional().describe('Only those of this route.'),
  limit,
  after: channelName.optional().describe('Only names behind it: `next` of the answer before.'),
});

export const listedChannel = z.strictObject({ channel: z.string(), route: z.string(), subscribers: count });

const channelsOutput = z.strictObject({ list: z.array(listedChannel), next });

export const channels: Fanned<typeof channelsInput, typeof channelsOutput> = {
  name: 'channels',
  kind: 'read',
  summary: 'The channels that are held, by name.',
  input: channelsInput,
  output: channelsOutput,
  codes: [],
  fansOut: true,
};

/** A channel, as one instance holds it. */
export const heldChannel = z.strictObject({
  subscribers: count.describe('Connections on it.'),
  opened: time.describe('Since when it is held.'),
  lingering: z.boolean().describe('Whether it is kept for who comes back, with nobody on it.'),
  unavailable: z.boolean().describe('Whether nothing can reach it now.'),
  position: z.string().describe('The cursor of who has everything until now; empty while that is not known.'),
  history: z.strictObject({
    events: count,
    bytes: count.describe('The memory that they take.'),
    oldest: time.optional(),
    newest: time.optional(),
  }),
});

const channelInput = z.strictObject({ channel: channelName });
const channelOutput = z.strictObject({
  channel: z.string(),
  route: z.string(),
  subject: z.string(),
  subscribers: count,
  created: time
    .optional()
    .describe('When it was made; of one that was not, since when an instance holds it.'),
  timeoutMs: count.optional().describe('Of one that was made: how long it may be idle.'),
  metadata: z.record(z.string(), z.unknown()).optional(),
  held: z.array(heldChannel.extend({ instance: z.string() })),
});

export const channel: Fanned<typeof channelInput, typeof channelOutput> = {
  name: 'channel',
  kind: 'read',
  summary: 'One channel: its route and subject, who is on it, what is kept of it, and where it is.',
  input: channelInput,
  output: channelOutput,
  codes: ['CHANNEL_NOT_FOUND'],
  fansOut: true,
};

/** A stream or a long poll. */
export const listedConnection = z.strictObject({
  connection: z.string().describe('Its id, as `sidestream.open` says it.'),
  instance: z.string(),
  user: z.string().optional().describe('The subject of its token; absent where it has none.'),
  address: z.string().optional().describe('The client’s; behind trusted proxies the forwarded one.'),
  transport: z.enum(['sse', 'ndjson', 'poll']),
  encoding: z.string().optional().describe('The content coding, where it is compressed.'),
  channels: z.array(z.string()),
  opened: time.describe('To the second.'),
  expires: time.optional().describe('When its token does, and the stream ends.'),
  waitingBytes: count.describe('What waits for its reader.'),
});

const connectionsInput = z.strictObject({
  user: z.string().min(1).max(1024).optional().describe('Only those of this user.'),
  channel: channelName.optional().describe('Only those on this channel.'),
  address: z.string().min(2).max(64).optional().describe('Only those from this address.'),
  limit,
  after: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}\.(0|[1-9][0-9]{0,14})$/, 'must be the `next` of an answer')
    .optional()
    .describe('`next` of the answer before.'),
});
const connectionsOutput = z.strictObject({ list: z.array(listedConnection), next });

export const connections: Fanned<typeof connectionsInput, typeof connectionsOutput> = {
  name: 'connections',
  kind: 'read',
  summary: 'The streams and long polls that are open, by instance, the oldest first.',
  input: connectionsInput,
  output: connectionsOutput,
  codes: [],
  fansOut: true,
};

/** The same, with what is only told of one. */
export const describedConnection = listedConnection.extend({
  cursor: z.string().optional().describe('Of who has all that it was given until now, what waits included.'),
  lastWrite: time.optional(),
  slowSince: time.optional().describe('Absent while its reader keeps up.'),
});

const connectionInput = z.strictObject({ connection: z.string().min(1).max(128) });

export const connection: Fanned<typeof connectionInput, typeof describedConnection> = {
  name: 'connection',
  kind: 'read',
  summary: 'One stream or long poll.',
  input: connectionInput,
  output: describedConnection,
  codes: ['CONNECTION_NOT_FOUND'],
  fansOut: true,
};
