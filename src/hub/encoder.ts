import type { Clock } from '../clock.ts';
import { formatPosition, type LogName } from '../protocol/cursor.ts';
import type { Frame, Lane, Priority } from '../protocol/frame.ts';
import { encodeControl, encodeEvent } from '../protocol/sse.ts';
import type { GapReason } from '../reasons.ts';
import type { Entry } from './history.ts';
import type { Log } from './log.ts';
import type { Publication } from './source.ts';

/** `id: ` and the line break. */
const ID_LINE_OVERHEAD = 5;
/** The position of what has none: before every position there is, so that no cursor passes it and no view moves on. */
const NOWHERE = -1;

/** Of events that are of no log. */
const NO_LOG: LogName = { epoch: undefined };

/** An event that is sent to streams rather than published on a channel. */
export interface Aside {
  /** Free of CR, LF and NUL; absent means `message`. */
  readonly event?: string | undefined;
  /** Anything, in any number of lines. */
  readonly data: Uint8Array | string;
  /** What goes first to a reader that is behind. Default: 0, normal. */
  readonly priority?: Priority | undefined;
}

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

  /** An event about a channel, without an `id:` and of no position. `data` goes out as one line of JSON. */
  notice(log: Log, event: string, data: unknown): Frame {
    return this.#nowhere(log, Buffer.from(encodeControl(event, data)), 0);
  }

  /** An event that is of no channel. Copies its data. */
  aside({ event, data, priority = 0 }: Aside): Frame {
    return this.#nowhere(NO_LOG, encodeEvent(event === undefined ? { data } : { event, data }), priority);
  }

  #nowhere(log: LogName, bytes: Uint8Array, priority: Priority): Frame {
    this.#sequence += 1;
    return {
      sequence: this.#sequence,
      bytes,
      idLength: 0,
      log,
      offset: NOWHERE,
      isNotice: true,
      priority,
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
