/**
 * The other processes on the same port, as far as limits go. A process tells what it holds and hears what they hold; a key
 * is what a limit counts by: all streams, an address, a user, a channel.
 */
export interface Others {
  /** Whether they leave room for one more stream under a key that has `own` here. */
  leaveRoom(key: string, own: number, limit: number): boolean;
  /** Tells how many streams there are under a key here, now. */
  tell(key: string, own: number): void;
  /** Tells of a bad token from a client, by its {@link limitKey}. */
  failed(client: string): void;
  /** Who hears of the bad tokens that came to the others. */
  onFailed: ((client: string, times: number) => void) | undefined;
}

/** Nobody: the process is alone on its port. */
export const ALONE: Others = {
  leaveRoom: (_key, own, limit) => own < limit,
  tell: () => undefined,
  failed: () => undefined,
  onFailed: undefined,
};
