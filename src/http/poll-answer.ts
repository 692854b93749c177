import type { Opened, Recovered } from '../hub/recovery.ts';
import { formatCursor, parseCursor } from '../protocol/cursor.ts';
import { type Frame, isOneOf, withOtherId } from '../protocol/frame.ts';
import { encodeNdjson } from '../protocol/ndjson.ts';
import type { CloseReason } from '../reasons.ts';

export interface PollBounds {
  /** The cursor that the client brought, as it brought it; empty where it brought none. */
  readonly brought: string;
  /** Most events in the answer… */
  readonly limit: number;
  /** …and most bytes of them, as SSE. One position is always given, however large. */
  readonly maxBytes: number;
}

/** Why the answer is the last for now. */
export interface Farewell {
  readonly reason: CloseReason;
  /** When to come back, in milliseconds. */
  readonly retry: number;
}

interface Given {
  readonly frame: Frame;
  /** In the place of its own `id:`, where there is one. */
  readonly id: string | undefined;
}

/**
 * What one poll is going to be answered: takes what was missed and what is live, and says when that is worth an answer and
 * what it is. Every answer is followed by a request with its cursor, so that must cover what was given, and nothing else: what
 * goes beyond the bounds is left, and the cursor stays before it.
 */
export class PollAnswer {
  readonly #bounds: PollBounds;
  #channels: readonly Opened[] = [];
  /** Events of this poll alone, as SSE, which no cursor covers. */
  #asides: readonly string[] = [];
  readonly #gathered: Given[] = [];
  #bytes = 0;
  /** By epoch, the earliest position that was left for the next time. */
  readonly #leftAt = new Map<string | undefined, number>();

  constructor(bounds: PollBounds) {
    this.#bounds = bounds;
  }

  /** What the client is told of its channels, and what it missed. `asides`: events without an `id:`, as SSE. */
  recovered({ channels, replay }: Pick<Recovered, 'channels' | 'replay'>, asides: readonly string[]): void {
    this.#channels = channels;
    this.#asides = asides;
    const { frames, ids } = replay;
    for (const [i, frame] of frames.entries()) this.#gather(frame, ids?.[i]);
  }

  /** What is live, in order of arrival. */
  add(frames: readonly Frame[]): void {
    for (const frame of frames) this.#gather(frame, undefined);
  }

  /**
   * Whether there is something to say. `cursor`: that of this moment. A verdict that would be the same the next time does not
   * count: while NATS is away, say, each poll is told of a gap, and would come back at once for the next.
   */
  isDue(cursor: string): boolean {
    const { brought } = this.#bounds;
    const given = this.#cut(cursor);
    if (given.events.length > 0) return true;
    const isTold = this.#channels.some(({ resume }) => resume === 'gap' || resume === 'reset');
    return (isTold || brought === '') && given.cursor !== brought;
  }

  /** The answer's body, JSON in UTF-8. `retryMs`: when to ask again where a request fails. */
  body(cursor: string, retryMs: number, farewell: Farewell | undefined): Uint8Array {
    const { cursor: next, events } = this.#cut(cursor);
    const head = JSON.stringify({ cursor: next, channels: this.#channels });
    const tail = JSON.stringify(
      farewell === undefined ? { retry: retryMs } : { retry: retryMs, close: farewell },
    );
    const pieces: Uint8Array[] = [Buffer.from(`${head.slice(0, -1)},"events":[`)];
    const lines = [...this.#asides.map((text) => Buffer.from(text)), ...events.map(bytesOf)].map(
      encodeNdjson,
    );
    for (const [i, line] of lines.entries()) pieces.push(...(i === 0 ? [line] : [COMMA, line]));
    pieces.push(Buffer.from(`],${tail.slice(1)}`));
    return Buffer.concat(pieces);
  }

  #gather(frame: Frame, id: string | undefined): void {
    const { limit, maxBytes } = this.#bounds;
    const last = this.#gathered.at(-1)?.frame;
    const size = this.#bytes + frame.bytes.length;
    const fits = last === undefined || (this.#gathered.length < limit && size <= maxBytes);
    // One message that two channels have is one position: half of it would come again.
    const belongs = last !== undefined && isOneOf(last, frame);
    if (this.#leftAt.size === 0 && (fits || belongs)) {
      this.#gathered.push({ frame, id });
      this.#bytes = size;
      return;
    }
    const { epoch } = frame.log;
    this.#leftAt.set(epoch, Math.min(this.#leftAt.get(epoch) ?? Infinity, frame.offset));
  }

  /** The furthest cursor that passes by nothing that was left, and what it covers. */
  #cut(cursor: string): { readonly cursor: string; readonly events: readonly Given[] } {
    const positions = (parseCursor(cursor) ?? []).map(({ epoch, offset }) => {
      const before = (this.#leftAt.get(epoch) ?? Infinity) - 1;
      return { epoch, offset: Math.min(offset, before) };
    });
    const reached = new Map<string | undefined, number>(
      positions.map(({ epoch, offset }) => [epoch, offset]),
    );
    // Where another channel of the log holds something back, no cursor may cover what is further on. What is of a log that has
    // no cursors cannot come again.
    const events = this.#gathered.filter(
      ({ frame: { log, offset } }) => offset <= (reached.get(log.epoch) ?? Infinity),
    );
    return { cursor: formatCursor(positions, ({ offset }) => offset), events };
  }
}

const COMMA = Buffer.from(',');

function bytesOf({ frame, id }: Given): Uint8Array {
  return id === undefined ? frame.bytes : withOtherId(frame, id).bytes;
}
