import { type Served, spread } from './operation.ts';
import { type DisconnectInput, disconnect, disconnectPart } from './operations/disconnect.ts';

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
}

export function disconnectOperations({ live }: DisconnectDeps): Served[] {
  return [
    spread(disconnect, {
      part: disconnectPart,
      each: (input) => ({
        closed: live.disconnect(whoseOf(input), { reconnect: input.reconnect, retryMs: input.retry }),
      }),
      merge: (parts) => ({ closed: parts.reduce((sum, { part }) => sum + part.closed, 0) }),
    }),
  ];
}

function whoseOf({ user, connection = '', channel }: DisconnectInput): DisconnectWhose {
  if (user !== undefined) return { user };
  return channel === undefined ? { connection } : { channel };
}
