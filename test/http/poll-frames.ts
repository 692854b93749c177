import type { Opened } from '../../src/hub/recovery.ts';
import type { LogName } from '../../src/protocol/cursor.ts';
import type { Frame } from '../../src/protocol/frame.ts';
import type { Whole } from '../../src/protocol/rendering.ts';
import { encodeEvent } from '../../src/protocol/sse.ts';

/** What a client reads of an answer. */
export interface PollBody {
  readonly cursor: string;
  readonly channels: readonly Opened[];
  readonly events: readonly { readonly id?: string; readonly event?: string; readonly data: string }[];
  readonly retry: number;
  readonly close?: { readonly reason: string; readonly retry: number };
}

/** The bytes of an answer. */
export function wholeBytes({ head, shared, tail }: Whole): Uint8Array {
  return Buffer.concat([head, shared?.bytes ?? new Uint8Array(), tail]);
}

export function bodyOf(bytes: Uint8Array): PollBody {
  return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
}

let sequence = 0;

/** A publication of a log, as the hub would make it. Its event is `e`. */
export function frameAt(log: LogName, offset: number, data = `${offset}`): Frame {
  sequence += 1;
  const id = log.epoch === undefined ? undefined : `${log.epoch}.${offset}`;
  const bytes = encodeEvent({ event: 'e', data, ...(id !== undefined && { id }) });
  const idLength = id === undefined ? 0 : `id: ${id}\n`.length;
  return {
    sequence,
    bytes,
    idLength,
    log,
    offset,
    isNotice: false,
    priority: 0,
    lane: undefined,
    key: undefined,
  };
}
