// Somebody's existing service: it publishes to NATS and serves a page, and knows nothing of Sidestream but the
// address that the page is to read events from. One stream it passes on itself, over a line that can be cut.
//   NATS_URL    where NATS is            (default nats://127.0.0.1:4222)
//   PORT        where the page is served (default 8000, on loopback)
//   EVENTS_URL  what the page opens      (default http://127.0.0.1:8080/events)
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from '@nats-io/transport-node';
import { chatMessage, openForBusiness } from './business.mjs';
import { Line } from './line.mjs';
import { openShop } from './shop.mjs';

const NATS_URL = process.env.NATS_URL || 'nats://127.0.0.1:4222';
const PORT = Number(process.env.PORT || 8000);
const EVENTS_URL = process.env.EVENTS_URL || 'http://127.0.0.1:8080/events';

const MAX_BODY_BYTES = 4096;
const MAX_NAME = 40;
const MAX_TEXT = 500;
const MAX_VALUE = 80;

const PAGE = readFileSync(new URL('index.html', import.meta.url));
const PAGE_HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-cache',
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'unsafe-inline'",
    "style-src 'unsafe-inline'",
    'img-src data:',
    `connect-src 'self' ${new URL(EVENTS_URL).origin}`,
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
};

const nats = await connect({
  servers: NATS_URL,
  name: 'demo-backend',
  maxReconnectAttempts: -1,
  waitOnFirstConnect: true,
});
const closeBusiness = openForBusiness((subject, payload) => nats.publish(subject, payload));
const shop = await openShop(nats).catch((error) => {
  console.error(`there are no orders and no settings: ${error.message}`);
});
const line = new Line(`${EVENTS_URL}/orders`);

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
  const { origin, host } = request.headers;
  if (origin !== undefined && origin !== `http://${host}`)
    return answer(response, 403, 'not from this page\n');
  const body = await readBody(request);
  if (body === undefined) return answer(response, 413, 'too long\n');
  const fields = new URLSearchParams(body);
  const field = (name, maxLength) => (fields.get(name) ?? '').trim().slice(0, maxLength);
  return answer(response, ...(await handle(field)));
};

/** The chat's: `from` and `text`. */
function say(field) {
  const text = field('text', MAX_TEXT);
  if (text === '') return [400, 'say what? (text=…)\n'];
  nats.publish('chat.room.lobby', chatMessage(field('from', MAX_NAME) || 'somebody', text));
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

function carry(request, response, query) {
  line.carry(query.get('page')?.slice(0, MAX_NAME) ?? '', request, response);
}

function answer(response, status, body, headers = { 'content-type': 'text/plain; charset=utf-8' }) {
  response.writeHead(status, { 'x-content-type-options': 'nosniff', ...headers }).end(body);
}

const ROUTES = {
  'GET /': (_, response) => answer(response, 200, PAGE, PAGE_HEADERS),
  'GET /settings.json': (_, response) =>
    answer(response, 200, JSON.stringify({ events: EVENTS_URL }), { 'content-type': 'application/json' }),
  'GET /orders': carry,
  'POST /say': form(say),
  'POST /set': form(set),
  'POST /cut': form(cut),
};

const server = createServer(async (request, response) => {
  const [path, query] = (request.url ?? '').split('?');
  const handle = ROUTES[`${request.method} ${path}`] ?? (() => answer(response, 404, 'nothing here\n'));
  try {
    await handle(request, response, new URLSearchParams(query));
  } catch (error) {
    console.error(`${request.method} ${path}: ${error.message}`);
    response.destroy();
  }
});

server.listen(PORT, '127.0.0.1', () => {
  console.log(`publishing to ${nats.getServer()}, the page is at http://127.0.0.1:${server.address().port}/`);
});

async function close() {
  closeBusiness();
  shop?.close();
  server.close();
  server.closeAllConnections();
  await nats.close(); // not drain(): where NATS has gone first, it would wait for it to come back
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, close);
