import { isInstance } from '../cluster/peer.ts';
import type { Claims } from './member.ts';
import type { Change, ChannelChange, ChannelChanges } from './table.ts';

/** What instances tell each other of who is there. */
export type PresenceMessage =
  /** What has changed since the one before, by number. */
  | {
      readonly kind: 'delta';
      readonly instance: string;
      readonly number: number;
      readonly channels: readonly ChannelChanges[];
    }
  /** Asks for everything; `question`: what the answer is known by. */
  | { readonly kind: 'ask'; readonly instance: string; readonly question: number }
  /** Everything, in parts; `number`: of the last delta before this part. */
  | {
      readonly kind: 'part';
      readonly instance: string;
      readonly question: number;
      readonly number: number;
      readonly channels: readonly ChannelChanges[];
      readonly part: number;
      readonly isLast: boolean;
    };

/** Largest message that is sent, in bytes, about; one change may be larger than what is left. */
export const MESSAGE_BYTES = 64 * 1024;
/** Largest that is read. */
const MAX_MESSAGE_BYTES = 1024 * 1024;

type Written = [key: string, connections: number, sinceMs: number, claims?: Claims];

export function encodeMessage(message: PresenceMessage): string {
  if (message.kind === 'ask') return JSON.stringify(message);
  const channels = message.channels.map(({ channel, total, changes }) => [
    channel,
    total,
    changes.map(written),
  ]);
  return JSON.stringify({ ...message, channels });
}

/** Puts changes together so that each message has a fitting size; gives none where there are no changes. A change is taken only when it is put in. */
export function* portions(
  changes: Iterable<ChannelChange>,
  messageBytes = MESSAGE_BYTES,
): Generator<readonly ChannelChanges[]> {
  let portion: { channel: string; total: number; changes: Change[] }[] = [];
  let bytes = 0;
  for (const { channel, total, change } of changes) {
    const last = portion.at(-1);
    if (last?.channel === channel) last.changes.push(change);
    else portion.push({ channel, total, changes: [change] });
    bytes += sizeOf(change) + (last?.channel === channel ? 0 : channel.length + PER_CHANNEL_BYTES);
    if (bytes < messageBytes) continue;
    yield portion;
    [portion, bytes] = [[], 0];
  }
  if (portion.length > 0) yield portion;
}

/** `undefined` where it is none of ours. */
export function decodeMessage(payload: Uint8Array): PresenceMessage | undefined {
  if (payload.length > MAX_MESSAGE_BYTES) return undefined;
  const value = parsed(payload);
  if (!isRecord(value)) return undefined;
  const { kind, instance, question, number, part, isLast } = value;
  if (!isInstance(instance)) return undefined;
  if (kind === 'ask') return isCount(question) ? { kind, instance, question } : undefined;
  const channels = channelsOf(value.channels);
  if (channels === undefined || !isCount(number)) return undefined;
  if (kind === 'delta') return { kind, instance, number, channels };
  if (kind !== 'part' || !isCount(question) || !isCount(part) || typeof isLast !== 'boolean')
    return undefined;
  return { kind, instance, question, number, channels, part, isLast };
}

const PER_CHANNEL_BYTES = 12;
const PER_CHANGE_BYTES = 24;

function sizeOf({ key, claims }: Change): number {
  return (
    PER_CHANGE_BYTES +
    Buffer.byteLength(key) +
    (claims === undefined ? 0 : Buffer.byteLength(JSON.stringify(claims)))
  );
}

function written({ key, connections, sinceMs, claims }: Change): Written {
  return claims === undefined ? [key, connections, sinceMs] : [key, connections, sinceMs, claims];
}

function parsed(payload: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(payload));
  } catch {
    // SyntaxError: somebody else publishes there.
    return undefined;
  }
}

function channelsOf(value: unknown): ChannelChanges[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const channels: ChannelChanges[] = [];
  for (const entry of value) {
    if (!Array.isArray(entry)) return undefined;
    const [channel, total, list]: unknown[] = entry;
    if (typeof channel !== 'string' || !isCount(total) || !Array.isArray(list)) return undefined;
    const changes = list.map(changeFrom).filter((change) => change !== undefined);
    if (changes.length < list.length) return undefined;
    channels.push({ channel, total, changes });
  }
  return channels;
}

function changeFrom(value: unknown): Change | undefined {
  if (!Array.isArray(value)) return undefined;
  const [key, connections, sinceMs, claims]: unknown[] = value;
  if (typeof key !== 'string' || !isCount(connections) || !isTime(sinceMs)) return undefined;
  if (claims !== undefined && !isRecord(claims)) return undefined;
  return { key, connections, sinceMs, claims };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/** The furthest that a `Date` can hold: ECMA-262 21.4.1.1. */
function isTime(value: unknown): value is number {
  return typeof value === 'number' && Math.abs(value) <= 8.64e15;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
