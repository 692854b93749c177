// What a channel's shaping costs a message that comes in: `throttle` for many readers, and payloads that are read (`redact`,
// `map`), beside a route that does nothing.
import { setTimeout as delay } from 'node:timers/promises';
import { startNode } from './processes.mjs';
import { ROWS, windowFigures } from './rows.mjs';
import { startSidestream } from './sidestream.mjs';
import { steady } from './windows.mjs';

const PER_SECOND = 20_000;
/** Share of `connections` that read the throttled channel: raw they could not be served. */
const READERS_SHARE = 0.1;

/** By the name in the table; `raw` last, the base. */
const KINDS = {
  'throttle: 100ms': { policy: 'throttle: 100ms', isThrottled: true },
  'redact, map': { policy: "redact: [/email], map: { event: '/type' }" },
  raw: { policy: '' },
};

/**
 * @param {import('./options.mjs').Options} options
 * @param {import('./servers.mjs').Surroundings} surroundings
 * @param {(line: string) => void} say
 * @returns {Promise<import('./rows.mjs').Figures[]>}
 */
export async function runShaped(options, surroundings, say) {
  if (!options.rows.some((row) => ROWS[row].channels === 'shaped')) return [];
  const parties = [];
  for (const [i, [name, kind]] of Object.entries(KINDS).entries()) {
    say(`shaped: starting sidestream, ${name}`);
    const readers = kind.isThrottled ? Math.max(1, Math.ceil(options.connections * READERS_SHARE)) : 1;
    parties.push({ ...(await party(surroundings, `shaped${i}`, kind.policy, readers)), name, kind, readers });
  }
  const windows = parties.map(() => []);
  for (let round = -1; round < options.rounds; round++) {
    for (const [i, each] of parties.entries()) {
      say(`shaped: ${each.name}, ${round < 0 ? 'warms up' : `round ${round + 1} of ${options.rounds}`}`);
      const window = await ingest(each, round < 0 ? options.warmUpSeconds : options.seconds);
      if (round >= 0) windows[i].push(window);
    }
  }
  await Promise.all(parties.flatMap(({ server, load }) => [load.stop(), server.stop()]));
  return parties.map((each, i) => {
    const figures = windowFigures('shaped', each.name, windows[i], windows.at(-1));
    const unaccounted = windows[i].reduce((sum, window) => sum + window.unaccounted, 0);
    const loss = unaccounted === 0 ? '' : `LOSS: ${unaccounted} messages were not taken in`;
    const readers = each.readers === 1 ? '1 reader' : `${each.readers} readers`;
    return {
      ...figures,
      note: [figures.note, loss].filter(Boolean).join(', '),
      remark: `per message in; ${readers}`,
    };
  });
}

async function party(surroundings, name, policy, count) {
  const server = await startSidestream(surroundings, { name, policy });
  const load = startNode('load.mjs');
  await load.ready;
  await load.ask('sampling', { every: Math.max(1, Math.floor(count / 100)) });
  const { port, paths } = server;
  await load.ask('connect', { port, path: paths.shared, from: 0, count, inFlight: 100 });
  return { server, load };
}

/**
 * What is expected is what the server says that it passed on, and it must have taken in all that was published.
 * @returns {Promise<import('./windows.mjs').Window & { unaccounted: number }>} `messages`: that came in
 */
async function ingest({ server, load, kind, readers }, seconds) {
  const before = await counts(server);
  let messages = 0;
  const counting = async (...asked) => {
    messages = await server.publish(...asked);
    // Of the last, some still wait for their window to end.
    let now = await counts(server);
    for (let i = 0; i < PATIENCE && now.taken - before.taken < messages; i++) {
      await delay(WINDOW_MS);
      now = await counts(server);
    }
    return now.passed - before.passed;
  };
  const window = await steady(
    { server: { ...server, publish: counting }, load },
    { perSecond: PER_SECOND, burst: 1, seconds, connections: readers, format: 'json' },
  );
  const after = await counts(server);
  if (kind.isThrottled && window.delivered === 0) throw new Error('shaped: nothing came through');
  return { ...window, messages, unaccounted: messages - (after.taken - before.taken) };
}

const WINDOW_MS = 100;
/** Of these windows. */
const PATIENCE = 50;

/** What was taken in, and what of it was passed on. */
async function counts({ metric }) {
  const taken = await metric('sidestream_publications_total{route="all"}');
  // No line before there is something to count.
  const shaped = (await metric('sidestream_publications_shaped_total{route="all",reason="throttled"}')) || 0;
  return { taken, passed: taken - shaped };
}
