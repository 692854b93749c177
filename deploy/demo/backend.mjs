// Somebody's existing service: it publishes to NATS, signs its visitors in and serves a page, and knows nothing of
// Sidestream but the address that the page is to read events from, the key of its tokens, and what an operator knows. One
// stream it passes on itself, over a line that can be cut.
//   NATS_URL      where NATS is                    (default nats://127.0.0.1:4222)
//   PORT, HOST    where the page is served         (default 8000, on loopback)
//   EVENTS_URL    what the page opens              (default http://127.0.0.1:8080/events)
//   LINE_URL      where the line that can be cut goes to, where that has another address from here (default EVENTS_URL)
//   OPS_URL       Sidestream's port for operators  (default http://127.0.0.1:9090)
//   TOKEN_SECRET  the key of visitors' tokens, OPS_TOKEN of the control plane: Sidestream has the same
import { createServer } from 'node:http';
import { connect } from '@nats-io/transport-node';
import { chatMessage, openForBusiness, ROOMS } from './business.mjs';
import { Line } from './line.mjs';
import { openNotices } from './notices.mjs';
import { Operator } from './operator.mjs';
import { Sessions } from './sessions.mjs';
import { openShop } from './shop.mjs';
import { Site } from './site.mjs';

const {
  NATS_URL = 'nats://127.0.0.1:4222',
  PORT = '8000',
  HOST = '127.0.0.1',
  EVENTS_URL = 'http://127.0.0.1:8080/events',
  LINE_URL = EVENTS_URL,
  OPS_URL = 'http://127.0.0.1:9090',
  TOKEN_SECRET,
  OPS_TOKEN,
} = process.env;
if (!TOKEN_SECRET || !OPS_TOKEN) throw new Error('TOKEN_SECRET and OPS_TOKEN must be set, as for Sidestream');

const MAX_BODY_BYTES = 4096;
const MAX_NAME = 40;
const MAX_TEXT = 500;
const MAX_VALUE = 80;

const nats = await connect({
  servers: NATS_URL,
  name: 'demo-backend',
  maxReconnectAttempts: -1,
  waitOnFirstConnect: true,
});
const closeBusiness = openForBusiness((subject, payload) => nats.publish(subject, payload));
const without = (what) => (error) => console.error(`there are no ${what}: ${error.message}`);
const shop = await openShop(nats).catch(without('orders and no settings'));
const notices = await openNotices(nats).catch(without('notices'));
const line = new Line(`${LINE_URL}/orders`);
const site = new Site(EVENTS_URL);
const sessions = new Sessions(TOKEN_SECRET, `demo_token_${PORT}`);
const operator = new Operator(OPS_URL, OPS_TOKEN);

/** @returns {Promise<string | undefined>} undefined when it is longer than a form of ours can be */
async function readBody(request) {
  let body = '';
  for await (const text of request.setEncoding('utf8')) {
    body += text;
    if (body.length > MAX_BODY_BYTES) return undefined;
  }
  return body;
}

/** A form of ours. Another site's page may not post it in a visitor's name. */
const form = (handle) => async (request, response) => {
  const { origin, host = '' } = request.headers;
  if (origin !== undefined && origin !== `http://${host}`)
    return answer(response, 403, 'not from this page\n');
  const body = await readBody(request);
  if (body === undefined) return answer(response, 413, 'too long\n');
  const fields = new URLSearchParams(body);
  const field = (name, maxLength) => (fields.get(name) ?? '').trim().slice(0, maxLength);
  return answer(response, ...(await handle(field, host)));
};

/** The sign-in's: `name`. Asked for again before the token expires. */
async function signIn(field, host) {
  const name = field('name', MAX_NAME);
  if (name === '') return [400, 'who are you? (name=…)\n'];
  const { user, cookie } = await sessions.open(name);
  notices?.know(user);
  return [200, { user, name, events: site.eventsFor(host) }, { 'set-cookie': cookie }];
}

/** The chat's: `from` and `text`, and the `room`. */
function say(field) {
  const text = field('text', MAX_TEXT);
  if (text === '') return [400, 'say what? (text=…)\n'];
  const room = field('room', MAX_NAME) || ROOMS[0];
  if (!ROOMS.includes(room)) return [400, 'there is no such room (room=…)\n'];
  nats.publish(`chat.room.${room}`, chatMessage(field('from', MAX_NAME) || 'somebody', text));
  return [202, 'said\n'];
}

/** A setting's: `name`, and `value`, of which none deletes it. */
async function set(field) {
  if (shop === undefined) return [503, 'there is no JetStream\n'];
  const isKnown = await shop.set(field('name', MAX_NAME), field('value', MAX_VALUE));
  return isKnown ? [202, 'set\n'] : [400, 'there is no such setting (name=…)\n'];
}

/** The button's: the `page` whose line is to be cut. */
function cut(field) {
  return line.cut(field('page', MAX_NAME)) ? [202, 'cut\n'] : [409, 'there is no line to cut\n'];
}

/** Of the operator's panel: how all of it does, and who is there. */
async function stats() {
  const [[status, numbers], [, { list = [] }]] = await Promise.all([
    operator.read('stats'),
    operator.read('connections', { limit: '100' }),
  ]);
  return [status, { ...numbers, list }];
}

/** The buttons': `priority`, and to which `user`. It is published as any backend could, who does not know the route's subject. */
function notify(field) {
  const [user, priority] = [field('user', MAX_NAME), field('priority', MAX_NAME) || 'normal'];
  const text = priority === 'urgent' ? 'This is urgent, and goes first.' : 'Somebody pressed a button.';
  const data = { text, at: new Date().toISOString() };
  return operator.act('publish', { user, event: 'notice', priority, ttl: '1h', persist: true, data });
}

/** All streams of a `user` onto the channel of another `room`, while they are open. */
async function move(field) {
  const [user, room] = [field('user', MAX_NAME), field('room', MAX_NAME)];
  const [status, joined] = await operator.act('subscribe', { user, channels: [`chat-${room}`] });
  if (status !== 200) return [status, joined];
  const others = ROOMS.filter((other) => other !== room).map((other) => `chat-${other}`);
  return operator.act('unsubscribe', { user, channels: others });
}

/** Ends all streams of a `user`; with `away`, browsers do not come back by themselves. */
function disconnect(field) {
  return operator.act('disconnect', { user: field('user', MAX_NAME), reconnect: field('away', 1) === '' });
}

function carry(request, response, query) {
  line.carry(query.get('page')?.slice(0, MAX_NAME) ?? '', request, response);
}

/** @param {string | Buffer | object} body text, a file, or what is sent as JSON */
function answer(response, status, body, headers = {}) {
  const isPlain = typeof body === 'string' || Buffer.isBuffer(body);
  const type = isPlain ? 'text/plain; charset=utf-8' : 'application/json';
  response.writeHead(status, { 'content-type': type, 'x-content-type-options': 'nosniff', ...headers });
  response.end(isPlain ? body : JSON.stringify(body));
}

const ROUTES = {
  'GET /orders': carry,
  'GET /stats': async (_, response) => answer(response, ...(await stats())),
  'POST /session': form(signIn),
  'POST /say': form(say),
  'POST /set': form(set),
  'POST /cut': form(cut),
  'POST /notify': form(notify),
  'POST /move': form(move),
  'POST /disconnect': form(disconnect),
};

function serve(request, response) {
  const [path, query] = (request.url ?? '').split('?');
  const file = request.method === 'GET' ? site.file(path) : undefined;
  if (file !== undefined) return answer(response, 200, file.body, file.headers);
  const handle = ROUTES[`${request.method} ${path}`];
  if (handle === undefined) return answer(response, 404, 'nothing here\n');
  return handle(request, response, new URLSearchParams(query));
}

const server = createServer(async (request, response) => {
  try {
    await serve(request, response);
  } catch (error) {
    console.error(`${request.method} ${request.url?.split('?')[0]}: ${error.message}`);
    response.destroy();
  }
});

server.listen(Number(PORT), HOST, () => {
  console.log(`publishing to ${nats.getServer()}, the page is at http://${HOST}:${server.address().port}/`);
});

async function close() {
  closeBusiness();
  shop?.close();
  notices?.close();
  server.close();
  server.closeAllConnections();
  await nats.close(); // not drain(): where NATS has gone first, it would wait for it to come back
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, close);
