import type { Clock } from '../clock.ts';
import { formatPosition } from '../protocol/cursor.ts';
import type { Frame } from '../protocol/frame.ts';
import { encodeControl, encodeEvent } from '../protocol/sse.ts';
import type { GapReason } from '../reasons.ts';
import type { Entry } from './history.ts';
import type { Log } from './log.ts';
import type { Publication } from './source.ts';

/** `id: ` and the line break. */
const ID_LINE_OVERHEAD = 5;

/** Makes frames of what comes for the channels: each once, for all. */
export class Encoder {
  readonly #clock: Clock;
  #sequence = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A publication at its position, as memory keeps it. Copies its data. */
  entry(log: Log, publication: Publication, offset: number): Entry {
    const { event, data, ttlMs, key } = publication;
    const timeMs = publication.timeMs ?? this.#clock.wall();
    const id = idOf(log, offset);
    let bytes: Uint8Array;
    if (id === undefined) bytes = encodeEvent(event === undefined ? { data } : { event, data });
    else bytes = encodeEvent(event === undefined ? { id, data } : { id, event, data });
    const frame = this.#frame(log, offset, id, bytes, false);
    return { frame, timeMs, expiresMs: ttlMs === undefined ? Infinity : timeMs + ttlMs, key };
  }

  /** `sidestream.gap` at the log's newest position. */
  gap(log: Log, channel: string, reason: GapReason): Frame {
    const id = idOf(log, log.offset);
    const text = encodeControl('sidestream.gap', { channel, reason }, id);
    return this.#frame(log, log.offset, id, Buffer.from(text), true);
  }

  #frame(log: Log, offset: number, id: string | undefined, bytes: Uint8Array, isNotice: boolean): Frame {
    this.#sequence += 1;
    const idLength = id === undefined ? 0 : ID_LINE_OVERHEAD + id.length;
    return { sequence: this.#sequence, bytes, idLength, log, offset, isNotice };
  }
}

function idOf({ epoch }: Log, offset: number): string | undefined {
  return epoch === undefined ? undefined : formatPosition(epoch, offset);
}
