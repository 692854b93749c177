import type { JetStreamManager, StreamInfo } from '@nats-io/jetstream';
import type { GapReason } from '../reasons.ts';

export interface Loss {
  readonly reason: GapReason;
  /** The newest sequence that may be missing. */
  readonly through: number;
}

/** A part of a stream, as it was when `info` was given. */
export interface Span {
  readonly jsm: JetStreamManager;
  readonly info: StreamInfo;
  /** It begins after this sequence… */
  readonly offset: number;
  /** …and ends with this one; with the newest where that is older. */
  readonly through: number;
}

/** Longest list of deleted messages that is asked for; where there are more, any may be missing. */
const MAX_DETAILS = 10_000;

/**
 * What may be gone of a span, whichever channel it was of. Where newer messages take older ones' place there are always
 * holes: what those mean differs between subjects (see {@link replacesOld}). Of a bucket the current values suffice, and only
 * deletions matter.
 * @throws Error of the NATS client
 */
export async function lossAfter(span: Span, isBucket: boolean): Promise<Loss | undefined> {
  const { info, offset } = span;
  const front = frontOf(span);
  if (isBucket || replacesOld(info)) {
    const deletion = isBucket ? await lostDeletion(span) : undefined;
    const isTold = info.state.messages === 0 || (isBucket ? mayAge(info) : isLimited(info));
    return deletion ?? (front > offset && isTold ? { reason: frontReason(info), through: front } : undefined);
  }
  const hole = await newestHole(span);
  if (hole === undefined) return undefined;
  const reason = mayEndEach(info) ? 'too-old' : 'purged';
  return { reason: hole <= front ? frontReason(info) : reason, through: hole };
}

/** The newest sequence of a span that the stream does not hold, if there is any. @throws Error of the NATS client */
export async function newestHole(span: Span): Promise<number | undefined> {
  const { jsm, info, offset } = span;
  const end = Math.min(span.through, info.state.last_seq);
  if (end <= offset) return undefined;
  const front = frontOf(span);
  let newest = front;
  const deleted = info.state.num_deleted ?? 0;
  if (deleted > MAX_DETAILS) newest = end;
  else if (deleted > 0 && front < end) {
    const { state } = await jsm.streams.info(info.config.name, { deleted_details: true });
    for (const hole of state.deleted ?? []) if (hole <= end) newest = Math.max(newest, hole);
  }
  return newest > offset ? newest : undefined;
}

/**
 * Whether of a subject the older messages go as newer ones come, so that a subject of which anything was stored still has its
 * newest. Where single messages may end by a time to live of their own, that is not so.
 */
export function replacesOld({ config }: Pick<StreamInfo, 'config'>): boolean {
  return config.max_msgs_per_subject >= 1 && !mayEndEach({ config });
}

/**
 * A marker that a key was deleted goes where the bucket's time to live is over, or its own. A hole may also be a value that
 * was replaced; one at the very end cannot be, since nothing came after it. What else was compacted by hand nothing tells.
 */
async function lostDeletion(span: Span): Promise<Loss | undefined> {
  const { info, offset } = span;
  const { last_seq, num_deleted = 0 } = info.state;
  if (mayEndEach(info)) {
    const hole = await newestHole(span);
    return hole === undefined ? undefined : { reason: 'too-old', through: hole };
  }
  if (last_seq <= offset || num_deleted > MAX_DETAILS) return undefined;
  const hole = await newestHole({ ...span, through: last_seq });
  return hole === last_seq ? { reason: 'purged', through: hole } : undefined;
}

/** Up to here nothing is left of the stream. */
function frontOf({ info: { state }, through }: Span): number {
  return Math.min(state.first_seq - 1, state.last_seq, through);
}

function frontReason(info: StreamInfo): GapReason {
  return mayAge(info) || (isLimited(info) && info.state.messages > 0) ? 'too-old' : 'purged';
}

function isLimited(info: StreamInfo): boolean {
  return mayAge(info) || info.config.max_msgs > 0 || info.config.max_bytes > 0;
}

function mayAge(info: StreamInfo): boolean {
  return info.config.max_age > 0 || mayEndEach(info);
}

/** ADR-43: whether messages may have a time to live of their own. */
function mayEndEach({ config }: Pick<StreamInfo, 'config'>): boolean {
  return config.allow_msg_ttl === true;
}
