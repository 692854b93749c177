import type { Priority } from '../protocol/frame.ts';
import type { GapReason } from '../reasons.ts';
import type { Destination } from '../routing/router.ts';
import type { Log } from './log.ts';

/** One message after its route mapped it: what a channel's subscribers are to receive. */
export interface Publication {
  /** Event name, free of CR, LF and NUL; absent means `message`. */
  readonly event: string | undefined;
  /** Payload; the hub copies it before `publish` returns, so a view into somebody's buffer will do. */
  readonly data: Uint8Array | string;
  /** When it was published, in milliseconds since the Unix epoch; absent means now. */
  readonly timeMs?: number;
  /** How long after that it is worth replaying, in milliseconds. */
  readonly ttlMs?: number;
  /** Of what waits for a reader that is behind, the highest goes first; absent means 0, normal. */
  readonly priority?: Priority;
  /** What it is the value of, where later ones of the same key replace it: a key-value route's key, or what `latestBy` says. */
  readonly key?: string;
  /** By which its publisher makes it known again where it was sent twice, as the payload says. Nothing to the hub. */
  readonly id?: string;
}

/** Where a source puts what it has for one channel. No call throws. */
export interface Sink {
  /** Subscriptions that the channel has now. Absent: not known. */
  readonly subscriptionCount?: number;
  /** `offset` is its position where the source's log has its own; the hub counts otherwise. Ascending within a log. */
  publish(publication: Publication, offset?: number): void;
  /** Publications were missed and cannot be had. */
  gap(reason: GapReason): void;
  /**
   * Said once, perhaps from within `open`: the feed is in place, so that what is published from now on arrives; or it is
   * known that it is not, which a `gap` says now or when it is over.
   */
  settled(): void;
}

/** Where a source puts what it has for a channel that nobody reads now, so that memory may keep it. */
export interface Intake {
  keep(destination: Destination, publication: Publication, offset: number): void;
}

/** What feeds channels: the hub opens it when a channel gets its first subscriber. */
export interface Source {
  /** Whose positions its publications have. */
  readonly log: Log;
  /** Whether messages may be missing right now, with no gap said yet. Never so where the source will catch up. */
  readonly interrupted: boolean;
  /** Starts feeding `sink`. Never throws; what goes wrong later is told by `sink.gap`. */
  open(destination: Destination, sink: Sink): Upstream;
  /** Where what memory no longer holds can be read again; absent where nowhere. */
  readonly archive?: Archive;
}

export interface Upstream {
  /** Ends the feed; the sink is not called again. */
  close(): void;
}

/** The log itself, as it is kept upstream. */
export interface Archive {
  /** The newest position that exists. Rejects where that cannot be known now. */
  newest(): Promise<number>;
  /** When what is at a position was published, in milliseconds since the Unix epoch; `undefined` where nothing is, or that cannot be known. Rejects where it may be known later. */
  timeOf?(offset: number): Promise<number | undefined>;
  /** Reads publications of one channel. Rejects where that is not possible now and may be later. */
  read(destination: Destination, range: ArchiveRange): Promise<ArchivePage>;
}

/** What is to be read. */
export interface ArchiveRange {
  readonly from: ArchiveStart;
  /** The last position that is asked for. */
  readonly through: number;
  /** At most so many publications, the newest where there are more. From 1 up. */
  readonly limit: number;
  /** At most about so many bytes of payloads, the newest where there are more. */
  readonly maxBytes: number;
}

export type ArchiveStart =
  /** All after this position. */
  | { readonly kind: 'after'; readonly offset: number }
  /** The newest so many. */
  | { readonly kind: 'last'; readonly count: number }
  /** All that were published since, in milliseconds since the Unix epoch. */
  | { readonly kind: 'since'; readonly timeMs: number }
  | { readonly kind: 'all' }
  /** The newest of each subject: the current values of a key-value route. */
  | { readonly kind: 'values' };

export interface ArchivePage {
  /** In order of position, each at most `through`. */
  readonly publications: readonly { readonly offset: number; readonly publication: Publication }[];
  /** Whatever the channel had after this position, up to `through`, is here. 0: from the beginning. */
  readonly after: number;
  /** Why there is less than was asked for: part of it no longer exists, or it was over the limit. */
  readonly cut?: GapReason;
  /** What the log still has up to here was left out as over the limit, whatever `cut` says besides. Absent: nothing was. */
  readonly omittedThrough?: number;
}
