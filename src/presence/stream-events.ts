import type { BackendEvents } from './backend-events.ts';

/** A stream as backends are told of it. */
export interface ToldStream {
  readonly id: string;
  readonly client: {
    /** Empty where nothing needs it. */
    readonly address: string;
    readonly identity: { readonly subject: string | undefined } | undefined;
  };
  readonly channels: readonly { readonly name: string }[];
  /** Absent where it is SSE as it is. */
  readonly rendering: { readonly format: 'sse' | 'ndjson' } | undefined;
}

export interface StreamEventsOptions {
  readonly events: BackendEvents;
  /** Milliseconds, of a clock that only grows. */
  now(): number;
}

/** Tells backends of the streams that are opened and ended here: each event is one publish, made where it happens. */
export class StreamEvents {
  readonly #options: StreamEventsOptions;
  /** Since when they are open. */
  readonly #open = new Map<ToldStream, number>();

  constructor(options: StreamEventsOptions) {
    this.#options = options;
  }

  /** Streams that are open. */
  get size(): number {
    return this.#open.size;
  }

  opened(stream: ToldStream): void {
    const { events, now } = this.#options;
    this.#open.set(stream, now());
    if (events.wants('connected')) events.tell('connected', fieldsOf(stream));
  }

  /** While it is still on its channels. */
  ended(stream: ToldStream, reason: string): void {
    const { events, now } = this.#options;
    const openedMs = this.#open.get(stream);
    if (openedMs === undefined) return;
    this.#open.delete(stream);
    if (!events.wants('disconnected')) return;
    events.tell('disconnected', {
      ...fieldsOf(stream),
      reason,
      durationMs: Math.round(now() - openedMs),
    });
  }
}

function fieldsOf({ id, client, channels, rendering }: ToldStream) {
  return {
    connection: id,
    user: client.identity?.subject,
    address: client.address,
    channels: channels.map(({ name }) => name),
    transport: rendering?.format ?? 'sse',
  };
}
