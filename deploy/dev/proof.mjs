// `npm run demo -- --once`: a client that sees for itself that the demo works, and prints what it saw.
import { SetupError, say } from './command.mjs';
import { provePeople } from './people-proof.mjs';
import { expectThat, print } from './proving.mjs';
import { readEvents } from './sse-reader.mjs';

const LIMIT_MS = 60_000;
/** So many events of each channel are printed. */
const SHOWN = 3;
const GREETING = 'hello from the proof';

const isPercent = (value) => Number.isInteger(value) && value >= 0 && value <= 100;
const isPrice = (data) => Number(JSON.parse(data).data) > 0;

/**
 * What must come of every channel: the event's name, what each event must be, and what one of them has to be besides.
 * @type {Record<string, { event: string, each: (data: string) => boolean, once?: (data: string) => boolean }>}
 */
const EXPECTED = {
  'prices.ACME': { event: 'price', each: isPrice },
  'prices.GLOBEX': { event: 'price', each: isPrice },
  'calm-prices': { event: 'calm-price', each: isPrice },
  'chat-lobby': {
    event: 'chat',
    each: (data) => JSON.parse(data).from !== '',
    once: (data) => JSON.parse(data).text === GREETING,
  },
  'task-7': { event: 'task-7', each: (data) => isPercent(JSON.parse(data).percent) },
  'logs-web-1': { event: 'log', each: (data) => data !== '', once: (data) => data.includes('\n') },
  orders: { event: 'order', each: (data) => Number.isInteger(JSON.parse(data).number) },
  'settings-shop': { event: 'put', each: (data) => JSON.parse(data).key.startsWith('shop.') },
};

/** The channel an event is of: by its name, and among prices by the envelope. */
function channelOf({ event, data }) {
  if (event === 'price') return JSON.parse(data).channel;
  return Object.keys(EXPECTED).find((channel) => EXPECTED[channel].event === event);
}

async function openStream(urls, signal) {
  const url = `${urls.events}?channels=${Object.keys(EXPECTED).join(',')}`;
  const origin = new URL(urls.page).origin;
  const response = await fetch(url, { headers: { accept: 'text/event-stream', origin }, signal });
  const type = response.headers.get('content-type');
  expectThat(
    response.status === 200 && type === 'text/event-stream',
    `${url} answered ${response.status} ${type}`,
  );
  const allowed = response.headers.get('access-control-allow-origin');
  expectThat(
    allowed === origin,
    `the page's origin is not allowed: Access-Control-Allow-Origin is ${allowed}`,
  );
  return readEvents(response);
}

/** The first event says which channels the connection has. */
async function readOpening(events) {
  const { value: opening } = await events.next();
  expectThat(
    opening?.event === 'sidestream.open',
    `the first event is ${opening?.event}, not sidestream.open`,
  );
  print('', opening);
  const { connection, channels } = JSON.parse(opening.data);
  expectThat(typeof connection === 'string' && connection !== '', 'sidestream.open names no connection');
  const names = channels.map(({ channel }) => channel).sort();
  expectThat(
    names.join() === Object.keys(EXPECTED).sort().join(),
    `sidestream.open lists ${names.join(', ')}`,
  );
}

/** Reads until each channel has shown what it must; `missing` are those that have not. */
async function readChannels(events, missing, urls) {
  const seen = {};
  while (missing.size > 0) {
    // Again and again: the stream is open a moment before NATS has its subscription.
    if (missing.has('chat-lobby')) await greet(urls);
    const { value: event, done } = await events.next();
    expectThat(!done, 'the stream ended too early');
    const channel = channelOf(event);
    if (channel === undefined || EXPECTED[channel] === undefined) continue;
    const { each, once = each } = EXPECTED[channel];
    expectThat(each(event.data), `${channel} sent ${JSON.stringify(event.data)}`);
    seen[channel] = (seen[channel] ?? 0) + 1;
    const isWanted = missing.has(channel) && once(event.data);
    if (isWanted) missing.delete(channel);
    if (isWanted || seen[channel] <= SHOWN) print(channel, event);
  }
}

/** A drain ends every stream with a word, not with a broken connection. */
async function readClosing(events) {
  let last;
  for await (const event of events) last = event; // to the end, and a broken one throws
  expectThat(
    last?.event === 'sidestream.close',
    `the stream ended with ${last?.event}, not with sidestream.close`,
  );
  print('', last);
  expectThat(
    JSON.parse(last.data).reason === 'draining',
    'the stream was closed for another reason than a drain',
  );
}

async function greet(urls) {
  const body = new URLSearchParams({ from: 'proof', text: GREETING });
  const { status } = await fetch(`${urls.page}say`, { method: 'POST', body });
  expectThat(status === 202, `the backend answered ${status} to a chat message`);
}

async function checkMetrics(urls) {
  const text = await (await fetch(`${urls.ops}/metrics`)).text();
  expectThat(/^sidestream_\w+/m.test(text), `${urls.ops}/metrics shows no metric of Sidestream's`);
}

/** Runs `work`, but not longer than LIMIT_MS and not beyond a child's end. */
async function within(work, children, missing) {
  const patience = AbortSignal.timeout(LIMIT_MS);
  const tooLong = new Promise((_, reject) => {
    patience.addEventListener('abort', () => {
      const silent =
        missing.size > 0
          ? `nothing as expected from ${[...missing].join(', ')}`
          : 'a visitor was not told what was to come, or it did not drain';
      reject(new SetupError(`The proof failed: within ${LIMIT_MS / 1000} s, ${silent}.`));
    });
  });
  const result = work(patience).catch((error) => {
    // A refused or broken connection, or data that is no JSON, tell little without what was being done.
    if (error instanceof SetupError) throw error;
    throw new SetupError(
      `The proof failed: ${error.message}${error.cause ? ` (${error.cause.message})` : ''}.`,
    );
  });
  return Promise.race([result, tooLong, children.failure]);
}

/**
 * Opens the stream as a browser would, sees every channel's events, says something in the chat and sees it come back,
 * sees other visitors come and go, and what waits for one of them; then stops everything and sees the stream end as it should.
 * @param {import('./parts.mjs').Urls} urls
 * @param {import('./children.mjs').Children} children
 * @returns {Promise<number>} 0
 * @throws {SetupError} saying what was not as it should be
 */
export function prove(urls, children) {
  const missing = new Set(Object.keys(EXPECTED));
  const work = async (signal) => {
    const events = await openStream(urls, signal);
    await readOpening(events);
    await Promise.all([readChannels(events, missing, urls), provePeople(urls, signal)]);
    await checkMetrics(urls);
    const stopped = children.stop();
    await readClosing(events);
    await stopped;
    say(`events of all ${Object.keys(EXPECTED).length} channels were seen, and the stream drained`);
    return 0;
  };
  return within(work, children, missing);
}
