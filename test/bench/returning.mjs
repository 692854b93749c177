// Clients that come back: each has the cursor that it was given last, as a browser has, and checks that the numbers of
// its channel's events follow one another.
import { connect as connectSocket } from 'node:net';
import { answer } from './requests.mjs';
import './probe.mjs';
import { requestHead } from './request-head.mjs';
import { NUMBER_DIGITS, TIME_DIGITS } from './workload.mjs';

const EVENT = new RegExp(`data: \\d{${TIME_DIGITS}}(\\d{${NUMBER_DIGITS}})`, 'g');
/** No event for so long: what is missing will not come. */
const QUIET_MS = 5000;
/** All sockets read into it, one after the other. */
const buffer = Buffer.alloc(65_536);

/** @typedef {{ path: string, cursor: string, number: number, rest: string, isAnswered: boolean, isOpen: boolean, socket?: import('node:net').Socket }} Client */
/** @type {Client[]} */
let clients = [];
let seen = nothing();
let refusal = '';
/** Called for each client that was answered, and that has its `sidestream.open`; at the latest as it fails. */
let onAnswer = () => {};
let onOpen = () => {};

function nothing() {
  return { received: 0, doubled: 0, leftOut: 0, recovered: 0, ended: 0, lastMs: performance.now() };
}

/** Of a client that is away. */
const FRESH = { rest: '', isAnswered: false, isOpen: false };

/** `count` clients, spread over the channels, whose newest event has `number`; resolves when each is on. */
async function connect({ port, path, channels, count, number, inFlight }) {
  clients = Array.from({ length: count }, (_, index) => {
    return { path: path.replace('{n}', String(index % channels)), cursor: '', number, ...FRESH };
  });
  await openAll(port, inFlight);
}

/** All go, by a reset. */
function leave() {
  for (const client of clients) {
    client.socket?.removeAllListeners('close').resetAndDestroy();
    Object.assign(client, FRESH);
  }
}

/** All come back, `inFlight` of them at a time without an answer; resolves when each has `events` more. */
async function comeBack({ port, inFlight, events }) {
  seen = nothing();
  const before = seen.lastMs;
  await openAll(port, inFlight);
  const wanted = clients.length * events;
  while (seen.received < wanted && performance.now() - seen.lastMs < QUIET_MS)
    await new Promise((resolve) => setTimeout(resolve, 5));
  return { ...seen, seconds: (seen.lastMs - before) / 1000 };
}

/** What came on the streams that are open since they came back. */
const report = () => seen;

function openAll(port, inFlight) {
  let [begun, opened] = [0, 0];
  return new Promise((resolve, reject) => {
    const begin = () => open(port, clients[begun++]);
    onAnswer = () => {
      if (begun < clients.length) begin();
    };
    onOpen = () => {
      opened += 1;
      if (opened < clients.length) return;
      if (refusal !== '' || seen.ended > 0)
        reject(new Error(`${seen.ended} streams ended; the server said: ${refusal}`));
      else resolve();
    };
    for (let i = Math.min(inFlight, clients.length); i > 0; i--) begin();
  });
}

function open(port, client) {
  const onread = (length) => {
    take(client, buffer.latin1Slice(0, length));
    return true;
  };
  const socket = connectSocket({ host: '127.0.0.1', port, onread: { buffer, callback: onread } });
  client.socket = socket;
  socket.setNoDelay(true);
  socket.on('error', (error) => {
    refusal ||= error.message;
  });
  socket.on('close', () => {
    seen.ended += 1;
    refusal ||= client.rest.slice(0, 300);
    answered(client);
    if (!client.isOpen) onOpen();
  });
  const { path, cursor } = client;
  socket.write(requestHead(path, cursor === '' ? [] : [`Last-Event-ID: ${cursor}`]));
}

function answered(client) {
  if (client.isAnswered) return;
  client.isAnswered = true;
  onAnswer();
}

/** An event counts when its blank line is there; chunks' heads stand between events, never inside one that fits a chunk. */
function take(client, text) {
  answered(client);
  const all = client.rest + text;
  const end = all.lastIndexOf('\n\n') + 2;
  client.rest = end > 1 ? all.slice(end) : all;
  if (end === 1) return;
  const whole = all.slice(0, end);
  if (!client.isOpen && whole.includes('event: sidestream.open')) {
    client.isOpen = true;
    if (whole.includes('"resume":"recovered"')) seen.recovered += 1;
    onOpen();
  }
  const id = whole.lastIndexOf('id: ');
  if (id !== -1) client.cursor = whole.slice(id + 4, whole.indexOf('\n', id));
  for (const [, digits] of whole.matchAll(EVENT)) check(client, Number(digits));
}

function check(client, number) {
  seen.received += 1;
  seen.lastMs = performance.now();
  if (number <= client.number) seen.doubled += 1;
  else {
    seen.leftOut += number - client.number - 1;
    client.number = number;
  }
}

answer({ connect, leave, comeBack, report });
process.channel.ref();
process.send({ ready: true });
