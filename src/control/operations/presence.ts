import { z } from 'zod';
import type { Spec } from '../operation.ts';

const input = z.strictObject({
  channel: z.string().min(1).max(256),
  limit: z.int().min(1).max(1000).default(100),
  after: z.string().min(1).max(8192).optional().describe('`next` of the page before.'),
});

const output = z.strictObject({
  channel: z.string(),
  count: z.int(),
  members: z.array(
    z.strictObject({
      user: z.string().optional(),
      id: z.string().optional(),
      connections: z.int(),
      since: z.iso.datetime(),
      claims: z.record(z.string(), z.unknown()).optional(),
    }),
  ),
  next: z.string().optional(),
});

export const presence: Spec<z.infer<typeof input>, z.infer<typeof output>> = {
  name: 'presence',
  kind: 'read',
  summary: 'Who is on a channel, over all instances.',
  input,
  output,
  codes: ['CHANNEL_NOT_FOUND', 'NOT_PERMITTED'],
};
