// What clients without streams cost: long pollers on one channel, each answered and asking again for every event, beside
// as many streams.
import { startNode } from './processes.mjs';
import { ROWS, windowFigures } from './rows.mjs';
import { startSidestream } from './sidestream.mjs';
import { measure, steady } from './windows.mjs';
import { pace } from './workload.mjs';

/** Share of `connections` that poll, and that have a stream. */
const SHARE = 0.1;
const PER_SECOND = 5;

/**
 * @param {import('./options.mjs').Options} options
 * @param {import('./servers.mjs').Surroundings} surroundings
 * @param {(line: string) => void} say
 * @returns {Promise<import('./rows.mjs').Figures[]>}
 */
export async function runPoll(options, surroundings, say) {
  if (!options.rows.some((row) => ROWS[row].channels === 'poll')) return [];
  say('poll: starting sidestream');
  const server = await startSidestream(surroundings, { name: 'poll' });
  const [pollers, streams] = [startNode('polling.mjs'), startNode('load.mjs')];
  await Promise.all([pollers.ready, streams.ready]);
  const count = Math.max(1, Math.ceil(options.connections * SHARE));
  const { port, paths } = server;
  await streams.ask('sampling', { every: Math.max(1, Math.floor(count / 100)) });
  await streams.ask('connect', { port, path: paths.shared, from: 0, count, inFlight: 100 });
  await pollers.ask('connect', { port, path: '/events/own.0?wait=60s', count });
  const numbers = { newest: 0 };
  const windows = { poll: [], sse: [] };
  for (let round = -1; round < options.rounds; round++) {
    say(round < 0 ? 'poll: warms up' : `poll: round ${round + 1} of ${options.rounds}`);
    const seconds = round < 0 ? options.warmUpSeconds : options.seconds;
    const polled = await poll({ server, load: pollers }, { seconds, count, numbers });
    const streamed = await steady(
      { server, load: streams },
      { perSecond: PER_SECOND, burst: 1, seconds, connections: count },
    );
    if (round < 0) continue;
    windows.poll.push(polled);
    windows.sse.push(streamed);
  }
  await Promise.all([pollers, streams, server].map((each) => each.stop()));
  const figures = windowFigures('poll', 'sidestream', windows.poll, windows.sse);
  const wrong = windows.poll.find((window) => window.wrong)?.wrong;
  return [
    { ...figures, note: [figures.note, wrong].filter(Boolean).join(', '), remark: 'per answer' },
    windowFigures('poll', 'sse', windows.sse, windows.sse),
  ];
}

/** @returns {Promise<import('./windows.mjs').Window & { wrong: string }>} `messages`: answers */
async function poll({ server, load }, { seconds, count, numbers }) {
  const { answers: before } = await load.ask('report');
  const window = await measure({ server, load }, async () => {
    const publishing = [];
    const emit = () => {
      numbers.newest += 1;
      publishing.push(
        server.publish('numbered', { kind: 'own', channels: 1, first: numbers.newest, count: 1 }),
      );
    };
    const published = await pace({ perSecond: PER_SECOND, seconds, emit });
    await Promise.all(publishing);
    return published * count;
  });
  const { answers, wrong } = await load.ask('report');
  return { ...window, messages: answers - before, wrong };
}
