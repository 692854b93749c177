import { z } from 'zod';
import type { Spec } from '../operation.ts';

/** What an instance says of itself; its id is said besides. */
export const instancePart = z.strictObject({
  host: z.string(),
  worker: z.int().optional(),
  version: z.string(),
  started: z.iso.datetime(),
  connections: z.int(),
  channels: z.int(),
  draining: z.boolean(),
  accepting: z.boolean(),
  natsConnected: z.boolean(),
});

const instancesInput = z.strictObject({});
const instancesOutput = z.strictObject({
  list: z.array(instancePart.extend({ instance: z.string() })),
});

export const instances: Spec<z.infer<typeof instancesInput>, z.infer<typeof instancesOutput>> & {
  readonly fansOut: true;
} = {
  name: 'instances',
  kind: 'read',
  summary: 'Every instance, and how it does.',
  input: instancesInput,
  output: instancesOutput,
  codes: [],
  fansOut: true,
};

const drainInput = z.strictObject({ instance: z.string().min(1).max(64) });
const drainOutput = z.strictObject({ instance: z.string(), connections: z.int() });

export const drain: Spec<z.infer<typeof drainInput>, z.infer<typeof drainOutput>> & {
  readonly fansOut: true;
} = {
  name: 'drain',
  kind: 'act',
  summary: 'Has an instance end its streams, each at its time, and take no more; the process stays.',
  input: drainInput,
  output: drainOutput,
  codes: ['INSTANCE_NOT_FOUND'],
  fansOut: true,
  target: ({ instance }) => ({ instance }),
};
