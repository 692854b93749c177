/** A log, as far as cursors go. */
export interface LogName {
  /** 1–32 of `[A-Za-z0-9-]`; absent while it is not known. */
  readonly epoch: string | undefined;
}

/**
 * A position in a log: which log (its epoch) and where in it. Written `epoch.offset`; the cursor in `id:` is one position,
 * or several joined by `_` where a connection reads several logs.
 */
export interface Position {
  /** 1–32 of `[A-Za-z0-9-]`. */
  readonly epoch: string;
  /** A whole number from 0 up; 0 is before the first. */
  readonly offset: number;
}

/** Longest cursor we send or read: Chromium treats a longer Last-Event-ID as CORS-unsafe. FACTS, EventSource. */
export const MAX_CURSOR_LENGTH = 128;
/** In the place of a cursor, the last `id:` of a stream that is to stay away. No cursor is like it: it has no position. */
export const GOODBYE = 'closed';
/** Length of the epochs that we make. */
export const EPOCH_LENGTH = 6;
/** Logs on one connection: so many positions always fit, of {@link EPOCH_LENGTH}, a dot, 16 digits and a `_` each. */
export const MAX_LOGS = 5;

const POSITION = /^([A-Za-z0-9-]{1,32})\.(0|[1-9][0-9]{0,15})$/;

export function formatPosition(epoch: string, offset: number): string {
  return `${epoch}.${offset}`;
}

/** A cursor over several logs; one that is not known yet has no position in it. */
export function formatCursor<L extends LogName>(logs: readonly L[], offsetOf: (log: L) => number): string {
  let text = '';
  for (const log of logs) {
    if (log.epoch === undefined) continue;
    if (text !== '') text += '_';
    text += formatPosition(log.epoch, offsetOf(log));
  }
  return text;
}

/** The positions of a cursor, or `undefined` where it is not of our syntax. */
export function parseCursor(text: string): readonly Position[] | undefined {
  if (text === '' || text.length > MAX_CURSOR_LENGTH) return undefined;
  const positions: Position[] = [];
  for (const part of text.split('_')) {
    const [, epoch, digits] = POSITION.exec(part) ?? [];
    if (epoch === undefined || digits === undefined) return undefined;
    const offset = Number(digits);
    if (!Number.isSafeInteger(offset)) return undefined;
    positions.push({ epoch, offset });
  }
  return positions;
}
