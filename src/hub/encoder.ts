import type { Clock } from '../clock.ts';
import { formatPosition } from '../protocol/cursor.ts';
import type { Frame, Lane } from '../protocol/frame.ts';
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
  entry(log: Log, publication: Publication, offset: number, lane?: Lane): Entry {
    const { event, data, ttlMs, key, priority = 0 } = publication;
    const timeMs = publication.timeMs ?? this.#clock.wall();
    const id = idOf(log, offset);
    let bytes: Uint8Array;
    if (id === undefined) bytes = encodeEvent(event === undefined ? { data } : { event, data });
    else bytes = encodeEvent(event === undefined ? { id, data } : { id, event, data });
    const expiresMs = ttlMs === undefined ? undefined : timeMs + ttlMs;
    const idLength = idLengthOf(id);
    this.#sequence += 1;
    return {
      sequence: this.#sequence,
      bytes,
      idLength,
      log,
      offset,
      isNotice: false,
      priority,
      lane,
      key,
      timeMs,
      expiresMs,
    };
  }

  /** `sidestream.gap` at the log's newest position. */
  gap(log: Log, channel: string, reason: GapReason): Frame {
    const id = idOf(log, log.offset);
    const bytes = Buffer.from(encodeControl('sidestream.gap', { channel, reason }, id));
    const idLength = idLengthOf(id);
    this.#sequence += 1;
    const { offset } = log;
    return {
      sequence: this.#sequence,
      bytes,
      idLength,
      log,
      offset,
      isNotice: true,
      priority: 0,
      lane: undefined,
      key: undefined,
    };
  }
}

function idLengthOf(id: string | undefined): number {
  return id === undefined ? 0 : ID_LINE_OVERHEAD + id.length;
}

function idOf({ epoch }: Log, offset: number): string | undefined {
  return epoch === undefined ? undefined : formatPosition(epoch, offset);
}
