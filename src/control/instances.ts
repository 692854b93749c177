import { z } from 'zod';
import type { Peer } from '../cluster/peers.ts';
import { ControlError, type Served, spread } from './operation.ts';
import { drain, instancePart, instances } from './operations/instances.ts';

export interface InstancesDeps {
  readonly own: Peer;
  /** How this instance does. */
  state(): {
    readonly connections: number;
    readonly channels: number;
    readonly draining: boolean;
    readonly accepting: boolean;
    readonly natsConnected: boolean;
  };
  /** Begins to drain; whoever does so twice does no harm. */
  drain(): void;
}

export function instanceOperations({ own, state, drain: begin }: InstancesDeps): Served[] {
  const { instance, startedMs, ...about } = own;
  const started = new Date(startedMs).toISOString();
  return [
    spread(instances, {
      part: instancePart,
      each: () => ({ ...about, started, ...state() }),
      merge: (parts) => ({
        list: parts
          .map(({ instance, part }) => ({ instance, ...part }))
          .sort((a, b) => (a.instance < b.instance ? -1 : 1)),
      }),
    }),
    spread(drain, {
      // Of the one that is meant, how many streams it ends.
      part: z.strictObject({ connections: z.int().optional() }),
      each(input) {
        if (input.instance !== instance) return {};
        const { connections } = state();
        begin();
        return { connections };
      },
      merge(parts, input) {
        const [found] = parts.filter((entry) => entry.instance === input.instance);
        if (found === undefined)
          throw new ControlError('INSTANCE_NOT_FOUND', 'no instance that answers has this id');
        return { instance: input.instance, connections: found.part.connections ?? 0 };
      },
    }),
  ];
}
