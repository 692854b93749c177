import type { Bus } from '../cluster/bus.ts';

type OutflowBus = Pick<Bus, 'publish' | 'flush'>;

/** From so much on of which it is not known whether NATS has it, in characters, that is asked… */
const ASK_FROM = 1024 * 1024;
/** …and beyond so much nothing more is sent. A storm of 10,000 streams is a third of it. */
const MOST_UNDER_WAY = 16 * 1024 * 1024;

/**
 * Publishes for as long as NATS takes it. A connection that died without a word looks like any other until its pings are missed, and
 * the NATS client would keep all of it until then.
 */
export class Outflow {
  readonly #bus: OutflowBus;
  #underWay = 0;
  #isAsking = false;

  constructor(bus: OutflowBus) {
    this.#bus = bus;
  }

  /** False where it was not sent. */
  publish(subject: string, payload: string): boolean {
    const length = subject.length + payload.length;
    if (this.#underWay >= ASK_FROM) this.#ask();
    if (this.#underWay + length > MOST_UNDER_WAY) return false;
    if (!this.#bus.publish(subject, payload)) return false;
    this.#underWay += length;
    return true;
  }

  #ask(): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const asked = this.#underWay;
    void this.#bus.flush().then((isThere) => {
      this.#isAsking = false;
      if (isThere) this.#underWay -= asked;
    });
  }
}
