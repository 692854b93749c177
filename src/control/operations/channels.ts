import { z } from 'zod';
import { isChannelName } from '../../routing/template.ts';
import { isShallow, LONGEST_MS, MAX_METADATA_BYTES, MAX_METADATA_DEPTH } from '../channels/channel-record.ts';
import type { Spec } from '../operation.ts';
import { duration } from './duration.ts';

const channel = z.string().refine(isChannelName, { message: 'must be the name of a channel' });

const BOUNDS = { minMs: 1000, maxMs: LONGEST_MS };

const metadata = z.record(z.string(), z.unknown()).refine(isSmall, {
  message: `must be no more than ${MAX_METADATA_BYTES} bytes of JSON, nested no deeper than ${MAX_METADATA_DEPTH}`,
});

function isSmall(value: unknown): boolean {
  return isShallow(value) && Buffer.byteLength(JSON.stringify(value)) <= MAX_METADATA_BYTES;
}

const createInput = z.strictObject({
  channel: channel.describe('Its name; a route must serve it.'),
  timeout: duration(BOUNDS)
    .optional()
    .describe(
      'It expires when nobody is on it and nothing is published for that long: a duration, or milliseconds.',
    ),
  metadata: metadata.optional().describe('An object for whoever asks about the channel.'),
  update: z
    .boolean()
    .optional()
    .describe(
      'Whether a channel that is there already gets this time-out and metadata, rather than be a conflict.',
    ),
});

const made = z.strictObject({
  channel: z.string(),
  route: z.string(),
  created: z.iso.datetime(),
  timeoutMs: z.number().optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
});

const createOutput = made.extend({
  isNew: z.boolean().describe('Whether this call made it; otherwise it was there.'),
});

export type CreateInput = z.output<typeof createInput>;
export type Created = z.output<typeof createOutput>;

export const create: Spec<CreateInput, Created> & { readonly fansOut: true } = {
  name: 'create',
  kind: 'act',
  summary: 'Makes a channel, with a time-out and metadata, or opens again one that was closed.',
  input: createInput,
  output: createOutput,
  codes: ['CHANNEL_NOT_FOUND', 'CHANNELS_FULL', 'CONFLICT', 'CONTROL_UNAVAILABLE'],
  fansOut: true,
  target: (input) => ({ channel: input.channel }),
};

const closeInput = z.strictObject({
  channel: channel.describe('Its name.'),
  for: duration(BOUNDS)
    .optional()
    .describe('How long it stays closed; without it, until it is made anew with `create`.'),
});

const closeOutput = z.strictObject({
  channel: z.string(),
  closed: z.int().describe('Streams that were on it.'),
  persisted: z.boolean().describe('Whether instances that are started later know of it.'),
  until: z.iso.datetime().optional().describe('When it is open again.'),
});

export type CloseInput = z.output<typeof closeInput>;
export type Closed = z.output<typeof closeOutput>;

export const close: Spec<CloseInput, Closed> & { readonly fansOut: true } = {
  name: 'close',
  kind: 'act',
  summary: 'Closes a channel: takes all streams off it, and refuses it to readers and publishers.',
  input: closeInput,
  output: closeOutput,
  codes: ['CHANNEL_NOT_FOUND', 'CHANNELS_FULL', 'CONTROL_UNAVAILABLE'],
  fansOut: true,
  target: (input) => ({ channel: input.channel, for: input.for }),
};

const STATES = ['open', 'closed', 'expired'] as const;

const listInput = z.strictObject({
  state: z.enum(STATES).optional().describe('Only those in this state.'),
  filter: z
    .string()
    .min(1)
    .max(256)
    .optional()
    .describe('Only those whose name is this; a `*` stands for any characters.'),
  limit: z.int().min(1).max(1000).default(100).describe('How many at most.'),
  after: z.string().max(256).optional().describe('Only those after this one: `next` of the page before.'),
});

const listed = made.extend({
  created: z.iso.datetime().optional().describe('Absent where it was closed without having been made.'),
  state: z.enum(STATES),
  ended: z.iso.datetime().optional().describe('When it was closed, or expired.'),
  until: z.iso.datetime().optional().describe('When it is open again.'),
  expires: z.iso
    .datetime()
    .optional()
    .describe(
      'When it expires if nothing more happens; absent while the instance that answers has streams on it.',
    ),
});

const listOutput = z.strictObject({
  list: z.array(listed).describe('In the order of their names.'),
  total: z.int().describe('How many are made or closed, whatever was asked for.'),
  next: z.string().optional().describe('Give it as `after` for the next page; absent on the last.'),
});

export type ListInput = z.output<typeof listInput>;
export type Listed = z.output<typeof listed>;
export type List = z.output<typeof listOutput>;

export const list: Spec<ListInput, List> = {
  name: 'list',
  kind: 'read',
  summary: 'The channels that were made or closed at run time.',
  input: listInput,
  output: listOutput,
  codes: [],
};
