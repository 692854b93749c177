import type { Clock } from '../../src/clock.ts';
import type { Bus, Receive } from '../../src/cluster/bus.ts';

/** What goes wrong, from 0 (never) to 1 (always). */
export interface Trouble {
  readonly loss: number;
  readonly repetition: number;
  /** Messages that take a time of their own, up to {@link MAX_DELAY_MS}, and so overtake each other. */
  readonly delay: number;
}

export const CALM: Trouble = { loss: 0, repetition: 0, delay: 0 };
const MAX_DELAY_MS = 4000;

interface Message {
  readonly to: NetworkBus;
  readonly subject: string;
  readonly payload: Buffer;
  readonly dueMs: number;
}

/** NATS as it never is: between instances of one test, messages are lost, come twice, and overtake each other. Nothing arrives before `deliver`. */
export class Network {
  trouble: Trouble = CALM;
  readonly #clock: Clock;
  /** From 0 up to 1. */
  readonly #chance: () => number;
  readonly #buses: NetworkBus[] = [];
  #messages: Message[] = [];

  constructor(clock: Clock, chance: () => number) {
    this.#clock = clock;
    this.#chance = chance;
  }

  bus(): NetworkBus & Bus {
    const made = new NetworkBus((subject, payload) => this.#send(subject, payload));
    this.#buses.push(made);
    return made as NetworkBus & Bus;
  }

  deliver(): void {
    const nowMs = this.#clock.now();
    const due = this.#messages.filter(({ dueMs }) => dueMs <= nowMs);
    this.#messages = this.#messages.filter(({ dueMs }) => dueMs > nowMs);
    for (const { to, subject, payload } of due.sort((a, b) => a.dueMs - b.dueMs)) to.take(subject, payload);
  }

  #send(subject: string, payload: Buffer): void {
    const { loss, repetition, delay } = this.trouble;
    for (const to of this.#buses) {
      if (this.#chance() < loss) continue;
      const copies = this.#chance() < repetition ? 2 : 1;
      for (let copy = 0; copy < copies; copy += 1) {
        const laterMs = this.#chance() < delay ? this.#chance() * MAX_DELAY_MS : 0;
        this.#messages.push({ to, subject, payload, dueMs: this.#clock.now() + laterMs });
      }
    }
  }
}

export class NetworkBus implements Pick<Bus, 'isConnected' | 'listen' | 'publish'> {
  isConnected = true;
  readonly #send: (subject: string, payload: Buffer) => void;
  readonly #listeners = new Map<string, Receive>();

  constructor(send: (subject: string, payload: Buffer) => void) {
    this.#send = send;
  }

  listen(subject: string, receive: Receive): () => void {
    this.#listeners.set(subject, receive);
    return () => this.#listeners.delete(subject);
  }

  publish(subject: string, payload: string | Uint8Array): boolean {
    if (this.isConnected) this.#send(subject, Buffer.from(payload));
    return this.isConnected;
  }

  take(subject: string, payload: Buffer): void {
    if (!this.isConnected) return;
    this.#listeners.get(subject)?.(payload, { subject, header: () => '', answer: () => false });
  }
}
