import type { BackendEvent } from '../config/schema.ts';

export interface BackendEventsOptions {
  /** Begins the subjects: `<prefix>.event.…`. */
  readonly prefix: string;
  readonly instance: string;
  /** What is told; the rest costs nothing. */
  readonly events: readonly BackendEvent[];
  /** Milliseconds since the Unix epoch. */
  wall(): number;
  /** Longest payload that NATS takes, in bytes; `undefined` while that is unknown. Default: unknown. */
  maxPayloadBytes?(): number | undefined;
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
    const { prefix, publish } = this.#options;
    if (publish(`${prefix}.event.${name}`, this.#payload(fields))) this.counts.sent += 1;
    else this.counts.dropped += 1;
  }

  /** How many bytes there is room for besides these fields in one message. */
  room(fields: Readonly<Record<string, unknown>>): number {
    const mostBytes = this.#options.maxPayloadBytes?.() ?? Number.POSITIVE_INFINITY;
    return mostBytes - Buffer.byteLength(this.#payload(fields));
  }

  #payload(fields: Readonly<Record<string, unknown>>): string {
    const { instance, wall } = this.#options;
    return JSON.stringify({ instance, ...fields, time: new Date(wall()).toISOString() });
  }
}
