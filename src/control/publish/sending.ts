import { z } from 'zod';
import { notFound } from '../not-found.ts';
import type { Spread } from '../operation.ts';
import { type Accepted, message, type PublishInput, targetOf } from '../operations/publishing.ts';
import { payloadOf } from './publish-payload.ts';

/** Which streams of an instance an event is for. */
export type Recipients = { readonly connection: string } | { readonly user: string } | 'all';

/** An event without a position. */
export interface SentEvent {
  /** Absent means `message`. */
  readonly event?: string;
  readonly data: string | Uint8Array;
  readonly priority: 0 | 1 | 2;
}

export interface SendingDeps {
  /** `limits.event`, as it is now. */
  readonly maxEventBytes: number;
  /** Gives it to streams of this instance; says to how many. */
  send(to: Recipients, event: SentEvent): number;
}

const PRIORITIES = { normal: 0, high: 1, urgent: 2 } as const;
const part = z.strictObject({ connections: z.int() });

/** What every instance does of a publication for single streams. No operation of its own: `publish` is. */
export function sending(deps: SendingDeps): Spread<PublishInput, z.output<typeof part>, Accepted> {
  return {
    spec: {
      name: 'send',
      kind: 'publish',
      summary: 'Gives an event to single streams.',
      input: message,
      output: z.strictObject({ accepted: z.literal(true), connections: z.int() }),
      codes: [],
      maxBytes: 1024 * 1024,
      fansOut: true,
      target: targetOf,
    },
    part,
    each: (input) => ({ connections: deps.send(recipientsOf(input), toEvent(input, deps.maxEventBytes)) }),
    merge(parts, input, missing) {
      const connections = parts.reduce((sum, each) => sum + each.part.connections, 0);
      if (connections === 0 && input.connection !== undefined)
        throw notFound('CONNECTION_NOT_FOUND', 'this connection', missing);
      if (connections === 0 && input.user !== undefined)
        throw notFound('USER_NOT_FOUND', 'a stream of this user', missing);
      return { accepted: true, connections };
    },
  };
}

function recipientsOf({ connection, user }: PublishInput): Recipients {
  if (connection !== undefined) return { connection };
  return user === undefined ? 'all' : { user };
}

/** What is binary goes out as base64, as it does on routes: an event stream is text. */
function toEvent(input: PublishInput, maxEventBytes: number): SentEvent {
  const { bytes } = payloadOf(input, maxEventBytes);
  const { event, priority = 'normal', binary, data } = input;
  return {
    ...(event !== undefined && { event }),
    data: binary === true ? String(data) : bytes,
    priority: PRIORITIES[priority],
  };
}
