// What somebody's service has to say: made up, but published as a real one would.

/** Each symbol's price when the day begins. */
const OPENING = { ACME: 128.4, GLOBEX: 56.15, INITECH: 21.8, UMBRELLA: 342.0 };

/** The chat's rooms; the first is where everybody begins. */
export const ROOMS = ['lobby', 'attic'];

const STEPS = ['reading the archive', 'resizing the pictures', 'writing captions', 'uploading'];

const REMARKS = [
  'Morning all. The deploy is through.',
  'Did anybody restart web-1? It looks fine again.',
  'ACME is moving.',
  'Type something below: it goes through NATS like everything here.',
  'Open this page twice and watch both.',
  'Who is here stands above; close a tab, and a moment later it is one less.',
  '<b>Markup</b> is only text here.',
];

const LOG_LINES = [
  ['stdout', 'GET /orders 200 12ms'],
  ['stdout', 'POST /orders 201 31ms'],
  [
    'stderr',
    'TypeError: order.total is not a number\n    at price (orders.js:41:17)\n    at checkout (orders.js:88:10)\n    retrying with the last known total',
  ],
  ['stdout', 'GET /health 200 1ms'],
  ['stdout', 'cache: 1,204 entries, 97 % hits'],
];

const pick = (list) => list[Math.floor(Math.random() * list.length)];

/** A random walk per symbol; one of them moves at each tick. */
function prices(publish) {
  const now = { ...OPENING };
  return () => {
    const symbol = pick(Object.keys(now));
    now[symbol] = Math.max(1, now[symbol] * (1 + (Math.random() - 0.5) / 50));
    publish(`market.prices.${symbol}`, now[symbol].toFixed(2));
  };
}

/** From 0 to 100 percent, and again. */
function progress(publish) {
  let percent = -1;
  return () => {
    percent = percent >= 100 ? 0 : Math.min(100, percent + 1 + Math.floor(Math.random() * 4));
    const step = percent === 100 ? 'done' : STEPS[Math.floor((percent / 100) * STEPS.length)];
    publish('tasks.7.progress', JSON.stringify({ percent, step }));
  };
}

/** One of `items` after the other, round and round. */
function inTurn(items, say) {
  let next = 0;
  return () => {
    say(items[next % items.length]);
    next += 1;
  };
}

/** What somebody says in a chat room, as it is published. */
export const chatMessage = (from, text) => JSON.stringify({ from, text, at: new Date().toISOString() });

/**
 * Starts publishing.
 * @param {(subject: string, payload: string) => void} publish
 * @returns {() => void} stops it
 */
export function openForBusiness(publish) {
  const timers = [
    setInterval(prices(publish), 150),
    setInterval(progress(publish), 400),
    setInterval(
      inTurn(REMARKS, (text) => publish('chat.room.lobby', chatMessage('Robin (a bot)', text))),
      4000,
    ),
    setInterval(
      inTurn(LOG_LINES, ([stream, line]) => publish(`logs.web-1.${stream}`, line)),
      900,
    ),
  ];
  return () => timers.forEach(clearInterval);
}
