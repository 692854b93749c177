import { z } from 'zod';
import { ACT_REFUSALS } from '../../reasons.ts';
import { isChannelName } from '../../routing/template.ts';
import type { Spec } from '../operation.ts';

const OWN_REFUSALS = Object.keys(ACT_REFUSALS).map((code) => `\`${code}\``);
/** Most channels of one call. */
const MAX_CHANNELS = 100;

const name = z.string().min(1).max(1024);
const fields = {
  connection: name.optional().describe('The stream with this id: `connection` in its `sidestream.open`.'),
  user: name.optional().describe('All streams of this user (`sub`).'),
  channels: z
    .array(z.string().refine(isChannelName, { message: 'must be the name of a channel' }))
    .min(1)
    .max(MAX_CHANNELS)
    .describe('Names of channels.'),
};

/** Exactly one says whose streams. */
const namesOne = ({ connection, user }: { connection?: string | undefined; user?: string | undefined }) =>
  (connection === undefined) !== (user === undefined);
const one = { message: 'exactly one of connection and user must say whose streams' };

const subscribeInput = z
  .strictObject({
    ...fields,
    vouched: z
      .boolean()
      .optional()
      .describe('Whether the caller vouches for the rights of the user, which are not looked at then.'),
  })
  .refine(namesOne, one);
const unsubscribeInput = z.strictObject(fields).refine(namesOne, one);

const refusal = z.strictObject({
  code: z
    .string()
    .describe(`Why: as a request for the channel would be refused, or ${OWN_REFUSALS.join(', ')}.`),
  streams: z.int(),
});
const result = z.strictObject({
  channel: z.string(),
  done: z.int().describe('Streams that are as they were to be.'),
  refused: z.array(refusal).describe('Streams that are not, by reason.'),
});

/** What an instance says, and all of them together. */
export const actShape = {
  streams: z.int().describe('Streams and long polls that are meant.'),
  channels: z.array(result),
};
const output = z.strictObject(actShape);

export type SubscribeInput = z.output<typeof subscribeInput>;
export type UnsubscribeInput = z.output<typeof unsubscribeInput>;
export type ActOutput = z.output<typeof output>;
type ActSpec<I> = Spec<I, ActOutput> & { readonly fansOut: true };

export const subscribe: ActSpec<SubscribeInput> = {
  name: 'subscribe',
  kind: 'act',
  summary: 'Puts a live stream, or all of a user, on more channels, for as long as it lasts.',
  input: subscribeInput,
  output,
  codes: ['CONNECTION_NOT_FOUND', 'USER_NOT_FOUND', 'CHANNEL_NOT_FOUND', 'NOT_PERMITTED', 'CONFLICT'],
  fansOut: true,
  target: ({ connection, user, channels, vouched }) => ({ connection, user, channels, vouched }),
};

export const unsubscribe: ActSpec<UnsubscribeInput> = {
  name: 'unsubscribe',
  kind: 'act',
  summary: 'Takes a live stream, or all of a user, off channels.',
  input: unsubscribeInput,
  output,
  codes: ['CONNECTION_NOT_FOUND', 'USER_NOT_FOUND', 'CONFLICT'],
  fansOut: true,
  target: ({ connection, user, channels }) => ({ connection, user, channels }),
};
