/** How a body is written: what must stand in it, to the byte. */
export interface Form {
  readonly mediaType: string;
  /** All that comes before what was published. */
  readonly opening: RegExp;
  /** How each of what comes then begins. */
  readonly begins: {
    readonly event: string;
    /** The whole of it: also what gets the rest out of uWebSockets.js when a reader has caught up. */
    readonly heartbeat: string;
    readonly closing: string;
  };
  /** An event up to `endOfCursor`. */
  readonly cursor: RegExp;
  readonly endOfCursor: string;
  /** The whole of an event. `payload` is one line in which JSON escapes nothing. */
  event(cursor: string, payload: Buffer): Buffer;
  /** All that comes last; what must be the same twice stands in groups. */
  readonly closing: RegExp;
}

export const SSE: Form = {
  mediaType: 'text/event-stream',
  opening:
    /^retry: \d+\nid: \w+\.\d+\nevent: sidestream\.open\ndata: \{"connection":"[^"\n]+","channels":\[[^\n]*\]\}\n\n$/,
  begins: { event: 'id: ', heartbeat: ':\n\n', closing: 'retry: ' },
  cursor: /^id: (\w+)\.(\d+)\n$/,
  endOfCursor: '\n',
  event: (cursor, payload) => Buffer.concat([Buffer.from(`id: ${cursor}\ndata: `), payload, LINES_END]),
  closing: /^retry: (\d+)\nevent: sidestream\.close\ndata: \{"reason":"draining","retry":(\d+)\}\n\n$/,
};

const LINES_END = Buffer.from('\n\n');

const OPEN =
  /\{"id":"\w+\.\d+","event":"sidestream\.open","data":"\{\\"connection\\":\\"[^"\\\n]+\\",\\"channels\\":\[[^\n]*\]\}"/
    .source;

/** One JSON object a line, as docs/wire.md has it; a heartbeat is an empty line. */
export const NDJSON: Form = {
  mediaType: 'application/x-ndjson',
  // Where a channel has to be waited for, `retry` goes out before the rest is known.
  opening: new RegExp(`^(?:\\{"retry":\\d+\\}\n${OPEN}|${OPEN},"retry":\\d+)\\}\n$`),
  begins: { event: '{"id":"', heartbeat: '\n', closing: '{"event":"sidestream.close"' },
  cursor: /^\{"id":"(\w+)\.(\d+)"$/,
  endOfCursor: '"',
  event: (cursor, payload) => Buffer.concat([Buffer.from(`{"id":"${cursor}","data":"`), payload, OBJECT_END]),
  closing:
    /^\{"event":"sidestream\.close","data":"\{\\"reason\\":\\"draining\\",\\"retry\\":(\d+)\}","retry":(\d+)\}\n$/,
};

const OBJECT_END = Buffer.from('"}\n');

/** How a reader asks for its stream. */
export interface Way {
  readonly name: string;
  readonly form: Form;
  readonly coding: 'gzip' | undefined;
}

export const AS_IT_IS: Way = { name: 'as it is', form: SSE, coding: undefined };

/** What a server renders for all who take it in one of these ways. */
export const RENDERED: readonly Way[] = [
  { name: 'gzip', form: SSE, coding: 'gzip' },
  { name: 'NDJSON', form: NDJSON, coding: undefined },
  { name: 'NDJSON and gzip', form: NDJSON, coding: 'gzip' },
];
