import type { Bus, Outgoing, Receive } from '../../src/cluster/bus.ts';

type Wire = Pick<Bus, 'isConnected' | 'listen' | 'publish' | 'maxPayloadBytes' | 'flush'>;

/** NATS between instances of one test: what is published arrives at once, in order, also where it came from. */
export class FakeNats {
  readonly buses = new Set<FakeBus>();
  /** `subject`s in order, as they were published. */
  readonly subjects: string[] = [];

  bus(): FakeBus & Bus {
    const made = new FakeBus(this);
    this.buses.add(made);
    return made as FakeBus & Bus;
  }
}

export class FakeBus implements Wire {
  isConnected = true;
  maxPayloadBytes: number | undefined = 1024 * 1024;
  readonly #nats: FakeNats;
  readonly #listeners = new Set<{ readonly subject: string; readonly receive: Receive }>();

  constructor(nats: FakeNats) {
    this.#nats = nats;
  }

  listen(subject: string, receive: Receive): () => void {
    const listener = { subject, receive };
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  publish(subject: string, payload: string | Uint8Array, { headers = {}, reply }: Outgoing = {}): boolean {
    if (!this.isConnected) return false;
    this.#nats.subjects.push(subject);
    for (const bus of this.#nats.buses) bus.#take(subject, Buffer.from(payload), headers, reply);
    return true;
  }

  async flush(): Promise<boolean> {
    return this.isConnected;
  }

  #take(
    subject: string,
    payload: Uint8Array,
    headers: Readonly<Record<string, string>>,
    reply: string | undefined,
  ): void {
    if (!this.isConnected) return;
    for (const listener of [...this.#listeners]) {
      if (!matches(listener.subject, subject)) continue;
      listener.receive(payload, {
        subject,
        header: (name) => headers[name] ?? '',
        answer: (text) => reply !== undefined && this.publish(reply, text),
      });
    }
  }
}

function matches(pattern: string, subject: string): boolean {
  return pattern.endsWith('.*') ? subject.startsWith(pattern.slice(0, -1)) : subject === pattern;
}
