// The load client: opens connections, counts events in the raw bytes, samples latencies. It must never be the
// bottleneck: one read buffer for all sockets, one memchr per event, no parsing, no strings.
import { connect as connectSocket } from 'node:net';
import { constants, inflateRawSync } from 'node:zlib';
import { answer } from './requests.mjs';
import './probe.mjs';
import { requestHead } from './request-head.mjs';
import { tally } from './tally.mjs';
import { signTokens } from './tokens.mjs';
import { DATA_BYTES, MARKER, pace, TIME_DIGITS } from './workload.mjs';

const MARKER_BYTE = MARKER.charCodeAt(0);
const MARKER_OFFSET = DATA_BYTES - 1;
/** RFC 9112 7.1; with the line break behind the chunk before, which uWebSockets.js sends with the next. */
const CHUNK_HEAD = /^(?:\r\n)?([0-9a-f]+)\r\n/i;
/**
 * Of gzip responses, the blocks that came last, with how many events are in each: they are the same for all connections, so
 * that each is decoded once.
 */
const recentBlocks = [];
const MOST_RECENT = 8;
const DIGITS = /^\d+$/;
/** libuv reads into it and hands it over before it reads the next socket, so that all sockets can share it. */
const buffer = Buffer.alloc(65_536);

/** Those of connections that are open, or still to be. */
const sockets = new Set();
/** What connection n shows to be let in, where it shows anything. */
let tokens = [];
let opened = 0;
let ended = 0;
let refusal = '';
const arrived = tally(() => ({ ended }));
let sampleEvery = 100;
let latenciesMs = [];

function openOne({ port, path, accept, index, onOpen }) {
  const sampled = index % sampleEvery === 0;
  let open = false;
  let isCompressed = false;
  const onread = (length) => {
    if (!open) {
      open = true;
      isCompressed = buffer.latin1Slice(0, length).includes('Content-Encoding: gzip');
      if (buffer.latin1Slice(0, 12) !== 'HTTP/1.1 200')
        refusal = buffer.latin1Slice(0, Math.min(length, 300));
      onOpen();
    }
    const count = isCompressed ? countInBlocks(length, sampled) : countEvents(length, sampled);
    if (count > 0) arrived.add(count);
    return true;
  };
  const socket = connectSocket({ host: '127.0.0.1', port, onread: { buffer, callback: onread } });
  socket.setNoDelay(true);
  socket.on('error', (error) => {
    refusal ||= error.message;
  });
  sockets.add(socket);
  socket.on('close', () => {
    if (!sockets.delete(socket)) return;
    ended += 1;
    if (!open) onOpen();
  });
  const token = tokens[index];
  socket.write(requestHead(path, token === undefined ? [] : [`Authorization: Bearer ${token}`], accept));
}

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

/** The same in a response with gzip, where each chunk is a block. The greeting, behind the head, is not looked into. */
function countInBlocks(length, sampled) {
  let count = 0;
  for (let at = 0; at < length; ) {
    const [head, size] = CHUNK_HEAD.exec(buffer.latin1Slice(at, at + 16)) ?? [];
    if (head === undefined) break;
    const from = at + head.length;
    at = from + Number.parseInt(size, 16);
    // Cut in two on the way: not counted, which shows.
    if (at > length) break;
    const { events, text } = knownBlock(from, at) ?? decode(from, at);
    count += events;
    if (sampled && events > 0) sample(text.indexOf(MARKER_BYTE) - MARKER_OFFSET, text);
  }
  return count;
}

function knownBlock(from, to) {
  for (const block of recentBlocks) {
    const { bytes } = block;
    if (bytes.length === to - from && buffer.compare(bytes, 0, bytes.length, from, to) === 0) return block;
  }
  return undefined;
}

function decode(from, to) {
  const bytes = Buffer.from(buffer.subarray(from, to));
  const text = inflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH });
  const block = { bytes, text, events: text.reduce((n, byte) => n + Number(byte === MARKER_BYTE), 0) };
  recentBlocks.unshift(block);
  if (recentBlocks.length > MOST_RECENT) recentBlocks.pop();
  return block;
}

function sample(from, bytes = buffer) {
  const time = bytes.latin1Slice(from, from + TIME_DIGITS);
  // The head of an HTTP chunk may stand within an event's data, where much is written at once.
  if (!DIGITS.test(time)) return;
  latenciesMs.push(Number(process.hrtime.bigint() - BigInt(time)) / 1e6);
}

/**
 * Opens connections `from … from + count` and resolves when each was answered (or has failed): at a steady pace, or as
 * fast as they are answered, `inFlight` of them unanswered at a time. They go round `channels` where these are fewer than they.
 */
function connect({ port, path, accept, from, count, perSecond, inFlight = 0, channels = from + count }) {
  const target = opened + count;
  let begun = 0;
  return new Promise((resolve, reject) => {
    const begin = () => {
      const index = from + begun++;
      openOne({ port, path: path.replace('{n}', String(index % channels)), accept, index, onOpen });
    };
    const onOpen = () => {
      opened += 1;
      if (inFlight > 0 && begun < count) begin();
      if (opened < target) return;
      if (refusal || ended > 0) reject(new Error(`${ended} connections ended; the server said: ${refusal}`));
      else resolve(opened);
    };
    if (inFlight === 0) pace({ perSecond, seconds: count / perSecond, emit: begin });
    else for (let i = Math.min(inFlight, count); i > 0; i--) begin();
  });
}

/** Lets go of all connections, by a reset: a port that waits for stragglers is not free for the next one. */
function disconnect() {
  const leaving = [...sockets];
  sockets.clear();
  for (const socket of leaving) socket.resetAndDestroy();
}

answer({
  sampling: ({ every }) => {
    sampleEvery = every;
  },
  sign: (wanted) => {
    tokens = signTokens(wanted);
  },
  connect,
  disconnect,
  ...arrived.requests,
  takeLatencies: () => {
    const taken = latenciesMs;
    latenciesMs = [];
    return taken;
  },
});
process.channel.ref();
process.send({ ready: true });
