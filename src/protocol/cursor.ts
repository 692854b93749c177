/**
 * A position in a log: which log (its epoch: random per process for core routes) and where in it.
 * Written `epoch.offset`; the cursor in `id:` is one position (several, joined by `_`, come with logs of other kinds).
 */
export interface Position {
  /** 1–32 of `[A-Za-z0-9-]`. */
  readonly epoch: string;
  /** A whole number from 0 up; 0 is before the first. */
  readonly offset: number;
}

/** Longest cursor we send or read: Chromium treats a longer Last-Event-ID as CORS-unsafe. FACTS, EventSource. */
export const MAX_CURSOR_LENGTH = 128;

const POSITION = /^([A-Za-z0-9-]{1,32})\.(0|[1-9][0-9]{0,15})$/;

export function formatPosition(epoch: string, offset: number): string {
  return `${epoch}.${offset}`;
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
