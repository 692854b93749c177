// What is published, the same for every server under test: the events' data and the pace they come at.

/** Bytes of `data:` in every event. */
export const DATA_BYTES = 128;

/** Stands once in every event, as the last byte of its data; no frame of any server holds it elsewhere. */
export const MARKER = '~';

/** Digits of the time at the start of the data: nanoseconds of the clock that all processes of a machine share. */
export const TIME_DIGITS = 20;

const FILLER = 'x'.repeat(DATA_BYTES - TIME_DIGITS - MARKER.length) + MARKER;

/** One event's data, stamped with the time of this call. */
export function eventData() {
  return process.hrtime.bigint().toString().padStart(TIME_DIGITS, '0') + FILLER;
}

/**
 * The same, with `padding` more bytes behind it, in a JSON object with what a route may pick out, or with records behind it
 * as services publish them: some 500 bytes that can be compressed to half.
 * @param {{ padding?: number, format?: 'json' | 'records' }} shape
 */
export function shapedData({ padding = 0, format }) {
  const data = eventData();
  if (format === 'json') return `{"type":"price","email":"someone@example.com","data":"${data}"}`;
  if (format === 'records') return data + RECORDS;
  return padding === 0 ? data : data + 'x'.repeat(padding);
}

const RECORDS = JSON.stringify(
  ['Berlin', 'Hamburg', 'Lyon', 'Turin'].map((city, i) => ({
    order: (i + 1) * 730_241_177,
    city,
    status: i % 2 ? 'shipped' : 'pending',
    price: (i + 3) * 47.53,
    at: 1_700_000_000_000 + i * 77_777_773,
  })),
);

/** Digits of the number behind the time, where events are numbered. */
export const NUMBER_DIGITS = 10;

const SHORT_FILLER = FILLER.slice(NUMBER_DIGITS);

/** The same, with a number. */
export function numberedData(number) {
  const time = process.hrtime.bigint().toString().padStart(TIME_DIGITS, '0');
  return time + String(number).padStart(NUMBER_DIGITS, '0') + SHORT_FILLER;
}

/** SSE frames as the peers write them; as long as Sidestream's, give or take a few bytes. */
export function frames(first, count) {
  let text = '';
  for (let i = first; i < first + count; i++) text += `id: bench.${i}\ndata: ${eventData()}\n\n`;
  return text;
}

/**
 * The connection that gets the n-th event where every connection has a channel of its own: each once a round, in an
 * order that jumps (in the order of joining, neighbours in memory would flatter every server).
 */
export function target(n, connections) {
  return (n * 7919) % connections;
}

/**
 * Calls `emit(n)` for n = 0, 1, … at a steady rate on an absolute schedule, so that a late turn is caught up with.
 * @param {{ perSecond: number, seconds: number, emit: (n: number) => void }} plan
 * @returns {Promise<number>} how many calls were made, once the last one's share of the time is over too
 */
export function pace({ perSecond, seconds, emit }) {
  const total = Math.max(1, Math.round(perSecond * seconds));
  const start = performance.now();
  let sent = 0;
  return new Promise((resolve) => {
    const turn = () => {
      const due = 1 + Math.floor(((performance.now() - start) * perSecond) / 1000);
      while (sent < Math.min(due, total)) emit(sent++);
      if (due > total) return resolve(total);
      const nextMs = start + (sent * 1000) / perSecond - performance.now();
      setTimeout(turn, Math.max(SHORTEST_TURN_MS, Math.ceil(nextMs)));
    };
    turn();
  });
}

/** 10,000 events a second leave as 50 every 5 ms, about what a busy publisher's socket delivers at once. */
const SHORTEST_TURN_MS = 5;

/**
 * The requests that whoever publishes answers. `shared(first, count)` sends `count` events at once to the channel
 * that all connections share, in a shape of `shapedData`; `own(n, connections)` sends one event to the n-th target's own channel.
 * @param {{ shared: (first: number, count: number, shape: Parameters<typeof shapedData>[0]) => void, own: (n: number, connections: number) => void }} send
 */
export function publisherRequests(send) {
  let sequence = 0;
  const shared = (count, shape) => {
    send.shared(sequence, count, shape);
    sequence += count;
  };
  return {
    steady: ({ perSecond, burst, seconds, ...shape }) =>
      pace({ perSecond, seconds, emit: () => shared(burst, shape) }),
    burst: ({ burst, ...shape }) => shared(burst, shape),
    spread: ({ perSecond, seconds, connections }) =>
      pace({ perSecond, seconds, emit: (n) => send.own(n, connections) }),
    spreadBurst({ count, connections }) {
      for (let n = 0; n < count; n++) send.own(n, connections);
    },
  };
}
