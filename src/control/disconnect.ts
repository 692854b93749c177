import { notFound } from './not-found.ts';
import { ControlError, type Served, spread } from './operation.ts';
import { type DisconnectInput, disconnect, disconnectPart } from './operations/disconnect.ts';
import { toMs } from './operations/duration.ts';

export type DisconnectWhose =
  | { readonly user: string }
  | { readonly connection: string }
  | { readonly channel: string };

export interface DisconnectDeps {
  readonly live: {
    /** Ends streams of this instance; says how many. */
    disconnect(
      whose: DisconnectWhose,
      how: { readonly reconnect: boolean | undefined; readonly retryMs: number | undefined },
    ): number;
  };
  /** Whether a route serves a channel. */
  isServed(channel: string): boolean;
}

export function disconnectOperations({ live, isServed }: DisconnectDeps): Served[] {
  return [
    spread(disconnect, {
      part: disconnectPart,
      each: (input) => ({
        closed: live.disconnect(whoseOf(input), {
          reconnect: input.reconnect,
          retryMs: input.retry === undefined ? undefined : toMs(input.retry),
        }),
      }),
      merge: (parts, { connection, channel }, missing) => {
        const closed = parts.reduce((sum, { part }) => sum + part.closed, 0);
        if (closed === 0 && connection !== undefined) throw notFound('CONNECTION_NOT_FOUND', 'it', missing);
        if (closed === 0 && channel !== undefined && !isServed(channel))
          throw new ControlError('CHANNEL_NOT_FOUND', 'no route serves this channel');
        return { closed };
      },
    }),
  ];
}

function whoseOf({ user, connection = '', channel }: DisconnectInput): DisconnectWhose {
  if (user !== undefined) return { user };
  return channel === undefined ? { connection } : { channel };
}
