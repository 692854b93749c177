// Somebody's existing service: it publishes to NATS and serves a page, and knows nothing of Sidestream but the
// address that the page is to read events from.
//   NATS_URL    where NATS is            (default nats://127.0.0.1:4222)
//   PORT        where the page is served (default 8000, on loopback)
//   EVENTS_URL  what the page opens      (default http://127.0.0.1:8080/events)
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from '@nats-io/transport-node';
import { chatMessage, openForBusiness } from './business.mjs';

const NATS_URL = process.env.NATS_URL || 'nats://127.0.0.1:4222';
const PORT = Number(process.env.PORT || 8000);
const EVENTS_URL = process.env.EVENTS_URL || 'http://127.0.0.1:8080/events';

const MAX_BODY_BYTES = 4096;
const MAX_NAME = 40;
const MAX_TEXT = 500;

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

/** @returns {Promise<string | undefined>} undefined when it is longer than a form of ours can be */
async function readBody(request) {
  let body = '';
  for await (const text of request.setEncoding('utf8')) {
    body += text;
    if (body.length > MAX_BODY_BYTES) return undefined;
  }
  return body;
}

/** The chat's form: `from` and `text`. Another site's page may not post it in a visitor's name. */
async function say(request, response) {
  const { origin, host } = request.headers;
  if (origin !== undefined && origin !== `http://${host}`)
    return answer(response, 403, 'not from this page\n');
  const body = await readBody(request);
  if (body === undefined) return answer(response, 413, 'too long\n');
  const form = new URLSearchParams(body);
  const text = (form.get('text') ?? '').trim().slice(0, MAX_TEXT);
  if (text === '') return answer(response, 400, 'say what? (text=…)\n');
  const from = (form.get('from') ?? '').trim().slice(0, MAX_NAME) || 'somebody';
  nats.publish('chat.room.lobby', chatMessage(from, text));
  answer(response, 202, 'said\n');
}

function answer(response, status, body, headers = { 'content-type': 'text/plain; charset=utf-8' }) {
  response.writeHead(status, { 'x-content-type-options': 'nosniff', ...headers }).end(body);
}

const ROUTES = {
  'GET /': (_, response) => answer(response, 200, PAGE, PAGE_HEADERS),
  'GET /settings.json': (_, response) =>
    answer(response, 200, JSON.stringify({ events: EVENTS_URL }), { 'content-type': 'application/json' }),
  'POST /say': say,
};

const server = createServer(async (request, response) => {
  const [path] = (request.url ?? '').split('?');
  const handle = ROUTES[`${request.method} ${path}`] ?? (() => answer(response, 404, 'nothing here\n'));
  try {
    await handle(request, response);
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
  server.close();
  server.closeAllConnections();
  await nats.close(); // not drain(): where NATS has gone first, it would wait for it to come back
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, close);
