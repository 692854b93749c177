import type { BackendEvent } from '../config/schema.ts';

export interface BackendEventsOptions {
  /** Begins the subjects: `<prefix>.event.…`. */
  readonly prefix: string;
  readonly instance: string;
  /** What is told; the rest costs nothing. */
  readonly events: readonly BackendEvent[];
  /** Milliseconds since the Unix epoch. */
  wall(): number;
  /** False where it could not be sent. */
  publish(subject: string, payload: string): boolean;
}

/**
 * What backends are told over NATS, as far as they asked for it. Nothing waits: what cannot be sent because NATS is away is
 * counted and gone, and says nothing new later, when things may be otherwise again.
 */
export class BackendEvents {
  readonly counts = { sent: 0, dropped: 0 };
  readonly #options: BackendEventsOptions;
  readonly #wanted: ReadonlySet<BackendEvent>;

  constructor(options: BackendEventsOptions) {
    this.#options = options;
    this.#wanted = new Set(options.events);
  }

  wants(...events: readonly BackendEvent[]): boolean {
    return events.some((event) => this.#wanted.has(event));
  }

  /** `name`: the end of the subject, such as `channel.occupied`. `fields` may name another instance than this one. */
  tell(name: string, fields: Readonly<Record<string, unknown>>): void {
    const { prefix, instance, wall, publish } = this.#options;
    const payload = JSON.stringify({ instance, ...fields, time: new Date(wall()).toISOString() });
    if (publish(`${prefix}.event.${name}`, payload)) this.counts.sent += 1;
    else this.counts.dropped += 1;
  }
}
