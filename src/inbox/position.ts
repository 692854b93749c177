import type { Log } from '../hub/log.ts';
import { parseCursor } from '../protocol/cursor.ts';
import { InboxRefusal } from './refusal.ts';
import { nothingRead, type ReadState } from './state.ts';

/** What is to be marked as read: all up to an id, single ones, or all that there is. */
export type Mark =
  | { readonly through: string }
  | { readonly ids: readonly string[] }
  | { readonly all: true };

/**
 * The offset that an event's `id:` has in a channel's log. A connection over several logs has ids of several positions: the one of this log
 * counts.
 * @throws InboxRefusal INBOX_INVALID, INBOX_POSITION, INBOX_UNAVAILABLE
 */
export function positionOf(id: string, { epoch }: Pick<Log, 'epoch'>): number {
  const positions = parseCursor(id);
  if (positions === undefined)
    throw new InboxRefusal('INBOX_INVALID', 'an id is what an event carries as `id:`');
  if (epoch === undefined) throw new InboxRefusal('INBOX_UNAVAILABLE', 'the stream is not followed yet');
  const position = positions.find((candidate) => candidate.epoch === epoch);
  if (position !== undefined) return position.offset;
  const message = 'the id is of another stream, or of this one before it was made anew';
  throw new InboxRefusal('INBOX_POSITION', message);
}

/** What would be read by a mark alone. `newest`: the last position that there is. @throws InboxRefusal */
export function wanted(mark: Mark, log: Pick<Log, 'epoch'>, newest: number): ReadState {
  const { epoch } = log;
  if (epoch === undefined) throw new InboxRefusal('INBOX_UNAVAILABLE', 'the stream is not followed yet');
  const none = nothingRead(epoch);
  if ('all' in mark) return { ...none, through: newest };
  const ids = 'ids' in mark ? mark.ids : [mark.through];
  const offsets = ids.map((id) => positionOf(id, log));
  if (offsets.some((offset) => offset > newest))
    throw new InboxRefusal('INBOX_POSITION', 'nothing has come so far as an id says');
  if ('through' in mark) return { ...none, through: offsets[0] ?? 0 };
  return { ...none, read: [...new Set(offsets)].sort((a, b) => a - b) };
}
