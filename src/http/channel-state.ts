import type { RefusalCode } from '../reasons.ts';
import type { Destination } from '../routing/router.ts';

/** Whether a channel may be read now; `loading` where that is not known yet. */
export type ChannelState = 'open' | 'closed' | 'unknown' | 'loading';

/** What is said to who asks for one that is not open. */
export const REFUSED_STATES = {
  closed: 'CHANNEL_CLOSED',
  unknown: 'CHANNEL_UNKNOWN',
  loading: 'NATS_NOT_READY',
} as const satisfies Readonly<Record<Exclude<ChannelState, 'open'>, RefusalCode>>;

/** What is said where a channel was closed while it was found out who asks for it: with the next attempt it is as if it had been closed before. */
export function closedMeanwhile(
  asked: readonly Destination[],
  stateOf: (destination: Destination) => ChannelState,
): { readonly refused: RefusalCode } | undefined {
  const isOpen = asked.every((destination) => stateOf(destination) === 'open');
  return isOpen ? undefined : { refused: 'NATS_NOT_READY' };
}
