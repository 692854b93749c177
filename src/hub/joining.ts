import type { Destination } from '../routing/router.ts';
import type { Channel, Subscriber } from './channel.ts';
import type { Hub } from './hub.ts';
import type { View } from './log.ts';
import type { Recovered, Recovery } from './recovery.ts';
import { aheadIn } from './view.ts';

/**
 * More channels for a subscriber that is live on others. They are held open until what they replay to who joins is at hand; then,
 * in one turn, that is cut off where they go on live for it. The subscriber is given nothing meanwhile that it does not have yet,
 * and waits for nothing.
 */
export class Joining implements Subscriber {
  readonly channels: Channel[] = [];
  readonly isProxy = true;
  turn = 0;
  view: View | undefined;
  readonly #hub: Hub;
  readonly #recovery: Recovery;

  /** `destinations`: channels that the subscriber is not on. */
  constructor(hub: Hub, destinations: readonly Destination[]) {
    this.#hub = hub;
    for (const destination of destinations) hub.subscribe(this, destination);
    this.#recovery = hub.recovery(this, [...this.channels], undefined);
  }

  /** What comes meanwhile is in memory, and is replayed where the route says so. */
  deliver(): void {}

  /** Calls `ready` when {@link conclude} can be called, then and there; or `failed`, where the log cannot be read now. */
  start(ready: () => void, failed: (error: unknown) => void): void {
    this.#recovery.start(ready, failed);
  }

  /** Whether the subscriber is ahead of this process in a log of these channels: what comes until then it would be taken to have. */
  isOvertakenBy({ view }: Subscriber): boolean {
    return this.channels.some(({ source }) => aheadIn(view, source.log) !== undefined);
  }

  /** Puts the subscriber on the channels: from here on it is given what they bring. It must have caught up in this very turn. */
  conclude(subscriber: Subscriber): Recovered {
    const recovered = this.#recovery.conclude();
    for (const { destination } of this.channels) this.#hub.subscribe(subscriber, destination);
    this.#hub.rebase(subscriber);
    this.#leave();
    return recovered;
  }

  /** Lets go of the channels; neither callback is called any more. */
  cancel(): void {
    this.#recovery.cancel();
    this.#leave();
  }

  #leave(): void {
    for (const channel of [...this.channels]) this.#hub.unsubscribe(this, channel);
  }
}
