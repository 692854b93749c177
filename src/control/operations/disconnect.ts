import { z } from 'zod';
import type { Spec } from '../operation.ts';
import { duration } from './duration.ts';

/** Up to a day: who is to stay away for longer is to stay away. */
const RETRY = { minMs: 0, maxMs: 86_400_000 };
const TARGETS = ['user', 'connection', 'channel'] as const;

const name = z.string().min(1);
const input = z
  .strictObject({
    user: name.optional().describe('All streams of this user (`sub`).'),
    connection: name.optional().describe('The stream with this id: `connection` in its `sidestream.open`.'),
    channel: name.optional().describe('All streams that are on this channel, whatever else they are on.'),
    reconnect: z.boolean().optional().describe('Whether the browser may come back by itself. Default: true.'),
    retry: duration(RETRY)
      .optional()
      .describe(
        'When it is to come back: a duration, or milliseconds. Default: jittered, as for every stream.',
      ),
  })
  .superRefine((fields, context) => {
    const given = TARGETS.filter((target) => fields[target] !== undefined);
    if (given.length > 1) context.addIssue(`${given.join(' and ')} do not go together`);
    if (given.length === 0) context.addIssue('user, connection or channel must say whose streams');
    if (fields.retry !== undefined && fields.reconnect === false)
      context.addIssue('retry does not go with reconnect: false');
  });

export type DisconnectInput = z.output<typeof input>;

const shape = { closed: z.int().min(0).describe('Streams that were ended.') };

/** What an instance says. */
export const disconnectPart = z.object(shape);
const output = z.strictObject(shape);

export const disconnect: Spec<DisconnectInput, z.output<typeof output>> & { readonly fansOut: true } = {
  name: 'disconnect',
  kind: 'act',
  summary: 'Ends streams. Their tokens stay good: the browser comes back, unless it is told not to.',
  input,
  output,
  codes: ['CONNECTION_NOT_FOUND', 'CHANNEL_NOT_FOUND'],
  fansOut: true,
  target: ({ user, connection, channel, reconnect }) => ({ user, connection, channel, reconnect }),
};
