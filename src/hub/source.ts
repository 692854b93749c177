import type { GapReason } from '../reasons.ts';
import type { Destination } from '../routing/router.ts';

/** One message after its route mapped it: what a channel's subscribers are to receive. */
export interface Publication {
  /** Event name, free of CR, LF and NUL; absent means `message`. */
  readonly event: string | undefined;
  /** Payload; the hub copies it before `publish` returns, so a view into somebody's buffer will do. */
  readonly data: Uint8Array | string;
}

/** Where a source puts what it has for one channel. No call throws. */
export interface Sink {
  publish(publication: Publication): void;
  /** Publications were missed and cannot be had. */
  gap(reason: GapReason): void;
  /**
   * Said once, perhaps from within `open`: the feed is in place, so that what is published from now on arrives; or it is
   * known that it is not, which a `gap` says now or when it is over.
   */
  settled(): void;
}

/** What feeds channels: the hub opens it when a channel gets its first subscriber. */
export interface Source {
  /** Whether messages may be missing right now, with no gap said yet. */
  readonly interrupted: boolean;
  /** Starts feeding `sink`. Never throws; what goes wrong later is told by `sink.gap`. */
  open(destination: Destination, sink: Sink): Upstream;
}

export interface Upstream {
  /** Ends the feed; the sink is not called again. */
  close(): void;
}
