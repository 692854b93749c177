// Clients without streams: each asks, waits for the answer, and asks again with its cursor, over one kept connection. Counts
// events and answers, and checks that the numbers in the events go on one by one.
import { connect as connectSocket } from 'node:net';
import { requestHead } from './request-head.mjs';
import { answer } from './requests.mjs';
import './probe.mjs';
import { tally } from './tally.mjs';
import { NUMBER_DIGITS, TIME_DIGITS } from './workload.mjs';

/** All sockets read into it, one after the other. */
const buffer = Buffer.alloc(65_536);
const END_OF_HEAD = '\r\n\r\n';
const EVENT = new RegExp(`"data":"(\\d{${TIME_DIGITS}})(\\d{${NUMBER_DIGITS}})`, 'g');

let ended = 0;
let answers = 0;
let wrong = '';
let latenciesMs = [];
const arrived = tally(() => ({ ended, answers, wrong }));

/** `count` clients on one path; resolves when each has been told where it is, and waits. */
function connect({ port, path, count }) {
  let begun = 0;
  return new Promise((resolve, reject) => {
    const onWaiting = () => {
      begun += 1;
      if (begun === count) wrong === '' ? resolve(begun) : reject(new Error(wrong));
    };
    for (let i = 0; i < count; i++) open({ port, path, onWaiting });
  });
}

function open({ port, path, onWaiting }) {
  const client = { path, cursor: '', number: 0, text: '', onWaiting, socket: undefined };
  const onread = (length) => {
    take(client, buffer.latin1Slice(0, length));
    return true;
  };
  client.socket = connectSocket({ host: '127.0.0.1', port, onread: { buffer, callback: onread } });
  client.socket.setNoDelay(true);
  client.socket.on('error', (error) => complain(client, error.message));
  client.socket.on('close', () => {
    ended += 1;
    complain(client, 'a connection ended');
  });
  ask(client);
}

function ask({ socket, path, cursor }) {
  const more = cursor === '' ? [] : [`Last-Event-ID: ${cursor}`];
  socket.write(requestHead(path, more, 'application/json'));
}

function complain(client, problem) {
  wrong ||= problem;
  waits(client);
}

function waits(client) {
  client.onWaiting?.();
  client.onWaiting = undefined;
}

function take(client, text) {
  client.text += text;
  const head = client.text.indexOf(END_OF_HEAD);
  if (head === -1) return;
  if (!client.text.startsWith('HTTP/1.1 200')) return complain(client, client.text.slice(0, 300));
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(client.text)?.[1]);
  const from = head + END_OF_HEAD.length;
  if (client.text.length < from + length) return;
  const body = client.text.slice(from, from + length);
  client.text = client.text.slice(from + length);
  client.cursor = /"cursor":"([^"]*)"/.exec(body)?.[1] ?? '';
  // Before the answer is looked through: the server should not have to wait for that.
  ask(client);
  read(client, body);
}

function read(client, body) {
  const now = process.hrtime.bigint();
  let count = 0;
  for (const [, time, digits] of body.matchAll(EVENT)) {
    const number = Number(digits);
    if (client.number !== 0 && number !== client.number + 1)
      complain(client, `${number} came after ${client.number}`);
    client.number = number;
    latenciesMs.push(Number(now - BigInt(time)) / 1e6);
    count += 1;
  }
  if (client.onWaiting) waits(client);
  else answers += 1;
  if (count > 0) arrived.add(count);
}

answer({
  connect,
  ...arrived.requests,
  takeLatencies: () => {
    const taken = latenciesMs;
    latenciesMs = [];
    return taken;
  },
});
process.channel.ref();
process.send({ ready: true });
