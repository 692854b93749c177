import type { Opened, Recovered } from '../hub/recovery.ts';
import { formatCursor, GOODBYE, parseCursor } from '../protocol/cursor.ts';
import { type Frame, hasPosition, isOneOf } from '../protocol/frame.ts';
import type { Whole } from '../protocol/rendering.ts';
import type { CloseReason } from '../reasons.ts';
import { type Given, type PollBodies, sizeOf } from './poll-bodies.ts';

export interface PollBounds {
  /** The cursor that the client brought, as it brought it; empty where it brought none. */
  readonly brought: string;
  /** Most events in the answer, but for those that lie before what it tells of as lost… */
  readonly limit: number;
  /** …and most bytes of them, as they are sent. One position is always given, however large. */
  readonly maxBytes: number;
}

/** Why the answer is the last for now. */
export interface Farewell {
  readonly reason: CloseReason;
  /** When to come back, in milliseconds. */
  readonly retry: number;
  /** Where the client is not to come back at all. */
  readonly reconnect?: false;
}

/**
 * What one poll is going to be answered: takes what was missed and what is live, and says when that is worth an answer and
 * what it is. Every answer is followed by a request with its cursor, so that must cover what was given, and nothing else: what
 * goes beyond the bounds is left, and the cursor stays before it.
 */
export class PollAnswer {
  readonly #bounds: PollBounds;
  readonly #bodies: PollBodies;
  #channels: readonly Opened[] = [];
  /** Events of this poll alone, as SSE, which no cursor covers. */
  #asides: readonly string[] = [];
  readonly #gathered: Given[] = [];
  #bytes = 0;
  /** By log, how far the cursor should get, or what is told of as lost now would be again with the next answer. */
  #lostThrough: Recovered['lostThrough'] = new Map();
  /** By epoch, the earliest position that was left for the next time. */
  readonly #leftAt = new Map<string | undefined, number>();

  constructor(bounds: PollBounds, bodies: PollBodies) {
    this.#bounds = bounds;
    this.#bodies = bodies;
  }

  /** What the client is told of its channels, and what it missed. `asides`: events without an `id:`, as SSE. */
  recovered({ channels, replay, lostThrough }: Omit<Recovered, 'cursor'>, asides: readonly string[]): void {
    this.#channels = channels;
    this.#lostThrough = lostThrough;
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
  body(cursor: string, retryMs: number, farewell: Farewell | undefined): Whole {
    const { cursor: reached, events } = this.#cut(cursor);
    const next = farewell?.reconnect === false ? GOODBYE : reached;
    const said = JSON.stringify({ cursor: next, channels: this.#channels });
    const own = this.#asides.map((text) => Buffer.from(this.#bodies.line(text)).toString()).join();
    const comma = own !== '' && events.length > 0 ? ',' : '';
    const end = JSON.stringify(
      farewell === undefined ? { retry: retryMs } : { retry: retryMs, close: farewell },
    );
    return {
      head: Buffer.from(`${said.slice(0, -1)},"events":[${own}${comma}`),
      shared: this.#bodies.joined(events),
      tail: Buffer.from(`],${end.slice(1)}`),
    };
  }

  #gather(frame: Frame, id: string | undefined): void {
    const { log, offset } = frame;
    if (!hasPosition(frame)) {
      this.#gatherNotice(frame);
      return;
    }
    const isPressing = offset <= (this.#lostThrough.get(log) ?? -1);
    if (isPressing ? !this.#leftAt.has(log.epoch) : this.#leftAt.size === 0) {
      const given = this.#bodies.given(frame, id);
      const size = this.#bytes + sizeOf(given);
      if (this.#hasRoomFor(frame, size, isPressing ? Infinity : this.#bounds.limit)) {
        this.#gathered.push(given);
        this.#bytes = size;
        return;
      }
    }
    this.#leftAt.set(log.epoch, Math.min(this.#leftAt.get(log.epoch) ?? Infinity, offset));
  }

  /** What has no position cannot be had with the next answer: it goes with this one, or is let go of where that is full. */
  #gatherNotice(frame: Frame): void {
    const given = this.#bodies.given(frame, '');
    const size = this.#bytes + sizeOf(given);
    if (this.#gathered.length >= this.#bounds.limit || size > this.#bounds.maxBytes) return;
    this.#gathered.push(given);
    this.#bytes = size;
  }

  #hasRoomFor(frame: Frame, size: number, limit: number): boolean {
    const { maxBytes } = this.#bounds;
    const last = this.#gathered.at(-1)?.frame;
    // One message that two channels have is one position: half of it would come again.
    return last === undefined || isOneOf(last, frame) || (this.#gathered.length < limit && size <= maxBytes);
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
