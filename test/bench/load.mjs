// The load client: opens connections, counts events in the raw bytes, samples latencies. It must never be the
// bottleneck: one read buffer for all sockets, one memchr per event, no parsing, no strings.
import { connect as connectSocket } from 'node:net';
import { answer } from './requests.mjs';
import './probe.mjs';
import { DATA_BYTES, MARKER, pace, TIME_DIGITS } from './workload.mjs';

const MARKER_BYTE = MARKER.charCodeAt(0);
const MARKER_OFFSET = DATA_BYTES - 1;
/** libuv reads into it and hands it over before it reads the next socket, so that all sockets can share it. */
const buffer = Buffer.alloc(65_536);

let opened = 0;
let ended = 0;
let refusal = '';
let delivered = 0;
/** The count at which somebody wants to be told, and how. */
let threshold = Number.POSITIVE_INFINITY;
let reached = () => {};
let sampleEvery = 100;
let latenciesMs = [];

function openOne({ port, path, index, onOpen }) {
  const sampled = index % sampleEvery === 0;
  let open = false;
  const onread = (length) => {
    if (!open) {
      open = true;
      if (buffer.latin1Slice(0, 12) !== 'HTTP/1.1 200')
        refusal = buffer.latin1Slice(0, Math.min(length, 300));
      onOpen();
    }
    const count = countEvents(length, sampled);
    if (count === 0) return true;
    delivered += count;
    if (delivered >= threshold) reached();
    return true;
  };
  const socket = connectSocket({ host: '127.0.0.1', port, onread: { buffer, callback: onread } });
  socket.setNoDelay(true);
  socket.on('error', (error) => {
    refusal ||= error.message;
  });
  socket.on('close', () => {
    ended += 1;
    if (!open) onOpen();
  });
  socket.write(`GET ${path} HTTP/1.1\r\n${HEADERS}\r\n\r\n`);
}

/** What a browser's EventSource sends, near enough: every server has the same head to parse. */
const HEADERS = [
  'Host: 127.0.0.1',
  'Connection: keep-alive',
  'Cache-Control: no-cache',
  'Accept: text/event-stream',
  'User-Agent: Mozilla/5.0 (X11; Linux x64) bench',
  'Accept-Encoding: gzip, deflate, br, zstd',
  'Accept-Language: en-US,en;q=0.9',
].join('\r\n');

function countEvents(length, sampled) {
  // A marker behind the chunk stops the search there: what lies further on is left over from other sockets.
  if (length < buffer.length) buffer[length] = MARKER_BYTE;
  let count = 0;
  let at = buffer.indexOf(MARKER_BYTE, 0);
  while (at !== -1 && at < length) {
    count += 1;
    // An event whose head lies in the chunk before is counted but not sampled.
    if (sampled && at >= MARKER_OFFSET) sample(at - MARKER_OFFSET);
    at = buffer.indexOf(MARKER_BYTE, at + 1);
  }
  return count;
}

function sample(from) {
  const sentNanos = BigInt(buffer.latin1Slice(from, from + TIME_DIGITS));
  latenciesMs.push(Number(process.hrtime.bigint() - sentNanos) / 1e6);
}

/** Opens `paths(from … from + count)` at a steady pace and resolves when each was answered (or has failed). */
function connect({ port, kind, path, from, count, perSecond }) {
  const target = opened + count;
  return new Promise((resolve, reject) => {
    const onOpen = () => {
      opened += 1;
      if (opened < target) return;
      if (refusal || ended > 0) reject(new Error(`${ended} connections ended; the server said: ${refusal}`));
      else resolve(opened);
    };
    const emit = (n) => {
      const index = from + n;
      openOne({ port, path: kind === 'own' ? path.replace('{n}', String(index)) : path, index, onOpen });
    };
    pace({ perSecond, seconds: count / perSecond, emit });
  });
}

/** Resolves at `count` deliveries, or when none has come for `quietMs`: the caller sees what is missing. */
function deliveries({ count, quietMs }) {
  if (delivered >= count) return report();
  return new Promise((resolve) => {
    let seen = delivered;
    const done = () => {
      clearInterval(watch);
      threshold = Number.POSITIVE_INFINITY;
      resolve(report());
    };
    const watch = setInterval(() => {
      if (seen === delivered) done();
      seen = delivered;
    }, quietMs);
    threshold = count;
    reached = done;
  });
}

function report() {
  return { delivered, ended, atMs: Number(process.hrtime.bigint() / 1000n) / 1000 };
}

/** Says `credit` each time another `step` deliveries have come, until somebody waits for `deliveries`. */
function creditEvery({ step }) {
  threshold = delivered + step;
  reached = () => {
    for (; delivered >= threshold; threshold += step) process.send({ notice: 'credit' });
  };
}

answer({
  sampling: ({ every }) => {
    sampleEvery = every;
  },
  connect,
  deliveries,
  report,
  creditEvery,
  takeLatencies: () => {
    const taken = latenciesMs;
    latenciesMs = [];
    return taken;
  },
});
process.channel.ref();
process.send({ ready: true });
