import { z } from 'zod';
import { isChannelName } from '../../routing/template.ts';
import type { Spec } from '../operation.ts';

/** As over the public port. */
const MAX_LISTED = 200;
const MAX_IDS = 100;

const whose = {
  channel: z
    .string()
    .refine(isChannelName, { message: 'must be the name of a channel' })
    .optional()
    .describe('The channel. Or `user`.'),
  user: z.string().min(1).max(1024).optional().describe('Whose inbox, by `sub`.'),
  route: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .describe('With `user`: the route, where several have an inbox of one user.'),
};
/** An event's `id:`. */
const id = z.string().min(1).max(128);

const count = {
  channel: z.string(),
  unread: z.int().describe('Of the newest 1,000.'),
  more: z.literal(true).optional().describe('There are more than are counted.'),
  through: z.string().describe('The id up to which all is read.'),
};
const counted = z.strictObject(count);

const unreadInput = z.strictObject(whose);

export const unread: Spec<z.infer<typeof unreadInput>, z.infer<typeof counted>> = {
  name: 'unread',
  kind: 'read',
  summary: 'How many messages of an inbox are unread.',
  input: unreadInput,
  output: counted,
  codes: ['CHANNEL_NOT_FOUND', 'CONTROL_UNAVAILABLE'],
};

const inboxInput = z.strictObject({
  ...whose,
  limit: z.int().min(1).max(MAX_LISTED).default(50).describe('Most messages of the answer.'),
  after: id.optional().describe('Only what came after this id; not with `order: priority`.'),
  order: z
    .enum(['time', 'priority'])
    .default('time')
    .describe('As they came; or the urgent first, then the high, each as they came.'),
});
const inboxOutput = z.strictObject({
  ...count,
  list: z.array(
    z.strictObject({
      id: z.string(),
      event: z.string(),
      data: z.string(),
      priority: z.enum(['normal', 'high', 'urgent']),
      time: z.iso.datetime(),
      expires: z.iso.datetime().optional(),
    }),
  ),
  next: z.string().optional().describe('What to ask for as `after` to have the rest.'),
});

export const inbox: Spec<z.infer<typeof inboxInput>, z.infer<typeof inboxOutput>> = {
  name: 'inbox',
  kind: 'read',
  summary: 'The messages of an inbox that are unread.',
  input: inboxInput,
  output: inboxOutput,
  codes: ['CHANNEL_NOT_FOUND', 'CONFLICT', 'CONTROL_UNAVAILABLE'],
};

const readInput = z.strictObject({
  ...whose,
  through: id.optional().describe('Read is all up to this id.'),
  ids: z.array(id).min(1).max(MAX_IDS).optional().describe('Read are these messages.'),
  all: z.literal(true).optional().describe('Read is all that there is.'),
});

export const read: Spec<z.infer<typeof readInput>, z.infer<typeof counted>> = {
  name: 'read',
  kind: 'act',
  summary: 'Marks messages of an inbox as read; the user’s streams are told what is left.',
  input: readInput,
  output: counted,
  codes: ['CHANNEL_NOT_FOUND', 'CONFLICT', 'CONTROL_UNAVAILABLE'],
  target: ({ channel, user, route, through, ids, all }) => ({ channel, user, route, through, ids, all }),
};
