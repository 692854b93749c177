import { GONE_MS, type Peer, type Peers } from '../cluster/peers.ts';
import type { BackendEvents } from './backend-events.ts';

export interface InstanceEventsOptions {
  readonly events: BackendEvents;
  readonly peers: Pick<Peers, 'own' | 'follow' | 'isResponsible'>;
  /** How many streams are open here. */
  connections(): number;
  /** Milliseconds, of a clock that only grows. */
  now(): number;
}

/** Instances of which it was told that they are lost, at most: each has an id that never comes again once it has ended. */
const MOST_LOST = 1000;
/** For so long, in milliseconds, it may turn out that who was to tell of a loss was dead by then: instances do not miss one at the same moment. */
const IN_DOUBT_MS = 2 * GONE_MS;

/**
 * Tells backends which instances there are, so that whoever keeps count of streams can let go of those of an instance that died.
 * An instance speaks for itself as long as it can; of one that cannot, another of them all does.
 */
export class InstanceEvents {
  readonly #options: InstanceEventsOptions;
  /** Of whom this instance said it, and is to say if they are back. */
  readonly #lost = new Set<string>();
  /** Lost just now, and another is to say it; and when that was. */
  readonly #leftToOthers = new Map<Peer, number>();

  constructor(options: InstanceEventsOptions) {
    this.#options = options;
    options.peers.follow({
      appeared: (peer) => this.#appeared(peer),
      vanished: (peer, how) => {
        if (how === 'lost') this.#leftToOthers.set(peer, options.now());
        this.#tellOfLost();
      },
    });
  }

  /** Again too: what happened while NATS was away was told to nobody. */
  connected(): void {
    const { events, peers, connections } = this.#options;
    events.tell('instance.appeared', { ...nameOf(peers.own), connections: connections() });
  }

  reconnected(): void {
    this.connected();
  }

  stop(): void {
    const { events, peers } = this.#options;
    events.tell('instance.gone', { ...nameOf(peers.own), reason: 'stopped' });
  }

  // It was held up rather than cut off, and does not know that it was missed.
  #appeared(peer: Peer): void {
    for (const lost of this.#leftToOthers.keys())
      if (lost.instance === peer.instance) this.#leftToOthers.delete(lost);
    if (this.#lost.delete(peer.instance)) this.#options.events.tell('instance.appeared', nameOf(peer));
  }

  /** Several may die together, as workers do, and each be the one to tell of another: with each that is gone the rest is looked at again. */
  #tellOfLost(): void {
    const { now, peers } = this.#options;
    for (const [peer, lostMs] of this.#leftToOthers) {
      const isDoubtful = now() - lostMs < IN_DOUBT_MS;
      if (isDoubtful && !peers.isResponsible(peer.instance)) continue;
      this.#leftToOthers.delete(peer);
      if (isDoubtful) this.#vanished(peer);
    }
  }

  #vanished(peer: Peer): void {
    this.#lost.add(peer.instance);
    const [oldest] = this.#lost;
    if (this.#lost.size > MOST_LOST && oldest !== undefined) this.#lost.delete(oldest);
    this.#options.events.tell('instance.gone', { ...nameOf(peer), reason: 'lost' });
  }
}

function nameOf({ instance, host, worker }: Peer) {
  return { instance, host, worker };
}
