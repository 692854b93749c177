import type { Publication, Sink, Source, Upstream } from '../hub/source.ts';
import type { Destination } from '../routing/router.ts';

/** Who is told what comes for a source's channels; no call may throw. */
export interface Watcher {
  /** The channel has its first subscriber. */
  opened(destination: Destination, source: Source): void;
  /** It came after what was there when the process began. */
  arrived(channel: string, publication: Publication, offset: number): void;
  /** Something is missing, or can be had again, or the log began anew. */
  broke(channel: string): void;
  closed(destination: Destination): void;
}

/** A source as it is, which tells besides what it feeds the hub with: before the route does anything to its pace. */
export function watched(source: Source, watcher: Watcher): Source {
  const open = (destination: Destination, sink: Sink): Upstream => {
    const { channel } = destination;
    watcher.opened(destination, source);
    const upstream = source.open(destination, {
      get subscriptionCount() {
        return sink.subscriptionCount ?? 0;
      },
      publish(publication, offset) {
        sink.publish(publication, offset);
        if (offset !== undefined) watcher.arrived(channel, publication, offset);
      },
      gap(reason) {
        sink.gap(reason);
        watcher.broke(channel);
      },
      settled: () => sink.settled(),
    });
    return {
      close() {
        upstream.close();
        watcher.closed(destination);
      },
    };
  };
  return {
    log: source.log,
    get interrupted() {
      return source.interrupted;
    },
    ...(source.archive !== undefined && { archive: source.archive }),
    open,
  };
}
