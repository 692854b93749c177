import type { Route } from '../routing/router.ts';
import type { NatsListener } from './nats.ts';
import { StreamSource, type StreamSourceOptions } from './stream.ts';

/** The sources of all routes that read a JetStream stream or a key-value bucket. */
export interface StreamSources {
  /** What feeds a route; absent where that is no stream. */
  of(route: Route): StreamSource | undefined;
  /** Each stream, whether it is followed and caught up with, and the newest position passed on. */
  states(): Iterable<{ readonly stream: string; readonly isFollowed: boolean; readonly offset: number }>;
  readonly listeners: readonly NatsListener[];
  stop(): void;
}

/** One source for each stream, shared by its routes. */
export function createStreamSources(
  routes: readonly Route[],
  options: Omit<StreamSourceOptions, 'stream' | 'routes'>,
): StreamSources {
  const byStream = new Map<string, Route[]>();
  for (const route of routes) {
    const stream = streamOf(route);
    if (stream === undefined) continue;
    byStream.set(stream, [...(byStream.get(stream) ?? []), route]);
  }
  const sources = new Map<string, StreamSource>();
  for (const [stream, its] of byStream)
    sources.set(stream, new StreamSource({ ...options, stream, routes: its }));
  return {
    of: (route) => sources.get(streamOf(route) ?? ''),
    states: () => [...sources].map(([stream, { isFollowed, offset }]) => ({ stream, isFollowed, offset })),
    listeners: [...sources.values()],
    stop() {
      for (const source of sources.values()) source.stop();
    },
  };
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
