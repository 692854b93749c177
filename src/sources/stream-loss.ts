import type { JetStreamManager, StreamInfo } from '@nats-io/jetstream';
import type { GapReason } from '../reasons.ts';

export interface Loss {
  readonly reason: GapReason;
  /** The newest sequence that may be missing. */
  readonly through: number;
}

/** Longest list of deleted messages that is asked for; where there are more, any may be missing. */
const MAX_DETAILS = 10_000;

/**
 * What was in a stream after `offset` and may be gone from it, as its state tells. A stream that keeps but so many messages of
 * each subject always has holes: what they mean only its messages tell (see {@link mayHaveReplaced}). Of a bucket the current
 * values suffice; only where it is empty is anything missing.
 * @throws Error of the NATS client
 */
export async function lossAfter(
  jsm: JetStreamManager,
  info: StreamInfo,
  offset: number,
  isBucket: boolean,
): Promise<Loss | undefined> {
  const { config, state } = info;
  const through = Math.min(state.first_seq - 1, state.last_seq);
  // Where only newer messages take older ones' place, the first of all moves on without a loss to anybody.
  const isTold = state.messages === 0 || (!isBucket && (isLimited(info) || !replacesOld(info)));
  if (through > offset && isTold) return { reason: firstReason(info), through };
  const deleted = state.num_deleted ?? 0;
  if (isBucket || deleted === 0 || replacesOld(info)) return undefined;
  const reason = config.allow_msg_ttl === true ? 'too-old' : 'purged';
  if (deleted > MAX_DETAILS) return state.last_seq > offset ? { reason, through: state.last_seq } : undefined;
  const details = await jsm.streams.info(config.name, { deleted_details: true });
  const newest = (details.state.deleted ?? []).reduce((a, b) => Math.max(a, b), 0);
  return newest > offset ? { reason, through: newest } : undefined;
}

/** Whether the stream lets go of a subject's older messages as newer ones come. */
export function replacesOld({ config }: Pick<StreamInfo, 'config'>): boolean {
  return config.max_msgs_per_subject >= 1;
}

/** Whether so many messages of one subject, in an unbroken run up to its newest, may have replaced older ones. */
export function mayHaveReplaced({ config }: Pick<StreamInfo, 'config'>, count: number): boolean {
  return config.max_msgs_per_subject >= 1 && count >= config.max_msgs_per_subject;
}

function firstReason(info: StreamInfo): GapReason {
  return isLimited(info) && info.state.messages > 0 ? 'too-old' : 'purged';
}

function isLimited({ config }: StreamInfo): boolean {
  return config.max_age > 0 || config.max_msgs > 0 || config.max_bytes > 0;
}
