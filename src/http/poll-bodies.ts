import { bareBytes, type Frame } from '../protocol/frame.ts';
import { encodeNdjson } from '../protocol/ndjson.ts';
import type { Rendering, Whole } from '../protocol/rendering.ts';

/** An event of an answer. */
export interface Given {
  readonly frame: Frame;
  /** The cursor that it has for this client; empty for none. */
  readonly id: string;
  /** The event without that, as a line of NDJSON; the same object for all who are given it. */
  readonly line: Uint8Array;
}

/** The events of an answer, one behind the other. */
interface Known {
  readonly bytes: Uint8Array;
  readonly events: readonly Given[];
}

/** So many lists of events are remembered: that of those who follow along, and some of those who catch up. */
const KEPT = 8;
/** What they may take, in bytes, but for the newest. */
const KEPT_BYTES = 4 * 1024 * 1024;

/**
 * The events of answers, made once for all who poll the same channels: each of them as JSON, and those of an answer one behind
 * the other. What differs from one answer to the next (cursor, verdicts, `retry`) stands before and behind them.
 */
export class PollBodies {
  readonly #lines: Rendering;
  #known: readonly Known[] = [];

  /** `lines`: NDJSON, in no content coding. */
  constructor(lines: Rendering) {
    this.#lines = lines;
  }

  /** `id`: where it is not the frame's own. */
  given(frame: Frame, id = idOf(frame)): Given {
    return { frame, id, line: this.#lines.of(bareBytes(frame)).bytes };
  }

  /** The line of a whole event, as SSE, that is for one client alone. */
  line(event: string): Uint8Array {
    return withoutBreak(encodeNdjson(Buffer.from(event)));
  }

  /** Events with commas between; what was made for one of the last answers is there for this one. */
  joined(events: readonly Given[]): Whole['shared'] {
    if (events.length === 0) return undefined;
    const found = this.#known.find((known) => areSame(known.events, events));
    if (found !== undefined) return found;
    const made = { events, bytes: join(events) };
    let bytes = made.bytes.length;
    const kept = this.#known.slice(0, KEPT - 1).filter((known) => {
      bytes += known.bytes.length;
      return bytes <= KEPT_BYTES;
    });
    this.#known = [made, ...kept];
    return made;
  }
}

/** Bytes that an event takes in an answer. */
export function sizeOf({ id, line }: Given): number {
  return line.length + (id === '' ? 0 : ID_BYTES + id.length);
}

const ID_BYTES = '"id":"",'.length;
const COMMA = Buffer.from(',');

// A frame is told by its place in the order of arrival: views and replays copy what is otherwise the same.
function areSame(a: readonly Given[], b: readonly Given[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ frame, id }, i) => frame.sequence === b[i]?.frame.sequence && id === b[i]?.id)
  );
}

function join(events: readonly Given[]): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (const [i, { id, line }] of events.entries()) {
    if (i > 0) pieces.push(COMMA);
    const members = withoutBreak(line);
    // Cursors need no escapes.
    if (id === '') pieces.push(members);
    else pieces.push(Buffer.from(`{"id":"${id}",`), members.subarray(1));
  }
  return Buffer.concat(pieces);
}

function withoutBreak(line: Uint8Array): Uint8Array {
  return line.subarray(0, -1);
}

function idOf({ bytes, idLength }: Frame): string {
  if (idLength === 0) return '';
  return Buffer.from(bytes.buffer, bytes.byteOffset + 'id: '.length, idLength - 'id: \n'.length).toString(
    'latin1',
  );
}
