import type { NatsConnection } from '@nats-io/transport-node';
import type { Log } from '../hub/log.ts';
import type { Route } from '../routing/router.ts';
import type { NatsListener } from './nats.ts';
import { StreamSource, type StreamSourceOptions } from './stream.ts';

export interface StreamState {
  readonly stream: string;
  /** Whether it is caught up with. */
  readonly isFollowed: boolean;
  /** The newest position passed on. */
  readonly offset: number;
  /** Messages that were still to come when the newest came. */
  readonly pending: number;
}

/** The sources of all routes that read a JetStream stream or a key-value bucket. */
export interface StreamSources {
  /** What feeds a route; absent where that is no stream. */
  of(route: Route): StreamSource | undefined;
  states(): Iterable<StreamState>;
  /** There are other routes now. A stream that none of them reads any more is there until {@link prune}. */
  reroute(routes: readonly Route[]): void;
  /** Lets go of streams that nobody reads any more; gives their logs. */
  prune(): readonly Log[];
  readonly listeners: readonly NatsListener[];
  stop(): void;
}

/** One source for each stream, shared by its routes. */
export function createStreamSources(
  routes: readonly Route[],
  options: Omit<StreamSourceOptions, 'stream' | 'routes'>,
): StreamSources {
  const sources = new Map<string, StreamSource>();
  const line = new Line(sources);
  const make = (stream: string, its: readonly Route[]) => {
    const source = new StreamSource({
      ...options,
      stream,
      routes: its,
      get maxEventBytes() {
        return options.maxEventBytes;
      },
    });
    sources.set(stream, source);
    line.join(source);
  };
  for (const [stream, its] of byStream(routes)) make(stream, its);
  return {
    of: (route) => sources.get(streamOf(route) ?? ''),
    states: () =>
      [...sources].map(([stream, { isFollowed, offset, pending }]) => ({
        stream,
        isFollowed,
        offset,
        pending,
      })),
    reroute(now) {
      const wanted = byStream(now);
      for (const [stream, source] of sources) {
        const its = wanted.get(stream);
        if (its === undefined) source.leave();
        else if (!isSame(its, source.routes)) source.reroute(its);
      }
      for (const [stream, its] of wanted) if (!sources.has(stream)) make(stream, its);
    },
    prune() {
      const idle = [...sources].filter(([, source]) => source.isIdle);
      for (const [stream, source] of idle) {
        source.stop();
        sources.delete(stream);
      }
      return idle.map(([, { log }]) => log);
    },
    listeners: [line],
    stop() {
      for (const source of sources.values()) source.stop();
    },
  };
}

/** Tells the sources of the connection, those too that are made while there is one. */
class Line implements NatsListener {
  readonly #sources: ReadonlyMap<string, StreamSource>;
  #connection: NatsConnection | undefined;
  #isAway = true;

  constructor(sources: ReadonlyMap<string, StreamSource>) {
    this.#sources = sources;
  }

  join(source: StreamSource): void {
    if (this.#connection === undefined) return;
    source.connected(this.#connection);
    if (this.#isAway) source.disconnected();
  }

  connected(connection: NatsConnection): void {
    this.#connection = connection;
    this.#isAway = false;
    for (const source of this.#sources.values()) source.connected(connection);
  }

  disconnected(): void {
    this.#isAway = true;
    for (const source of this.#sources.values()) source.disconnected();
  }

  reconnected(): void {
    this.#isAway = false;
    for (const source of this.#sources.values()) source.reconnected();
  }

  refused(error: Error): void {
    for (const source of this.#sources.values()) source.refused(error);
  }
}

function isSame(a: readonly Route[], b: readonly Route[]): boolean {
  return a.length === b.length && a.every((route, index) => route === b[index]);
}

function byStream(routes: readonly Route[]): ReadonlyMap<string, readonly Route[]> {
  const found = new Map<string, Route[]>();
  for (const route of routes) {
    const stream = streamOf(route);
    if (stream !== undefined) found.set(stream, [...(found.get(stream) ?? []), route]);
  }
  return found;
}

/** ADR-8: a bucket is a stream of this name. */
function streamOf({ config: { source } }: Route): string | undefined {
  switch (source.kind) {
    case 'core':
      return undefined;
    case 'stream':
      return source.stream;
    case 'kv':
      return `KV_${source.bucket}`;
  }
}
