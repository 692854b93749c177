// How fast a stream can be followed: every message is read, mapped and kept, and those of one channel of many have
// subscribers. Beside it a loop that does nothing but receive, by the same library.

import { PROBED, probed } from './probed.mjs';
import { startNode } from './processes.mjs';
import { ROWS, windowFigures } from './rows.mjs';
import { startSidestream } from './sidestream.mjs';
import { makeStream } from './streams.mjs';
import { closedLoop, spread } from './windows.mjs';
import { target } from './workload.mjs';

const CHANNELS = 100;
const SUBSCRIBERS = 10;
const PER_SECOND = 100_000;
/** In `tail-most`, messages at once; two such bursts are under way. */
const BURST = 10_000;
/** Of the messages that go round the channels, its is the last of each round. */
const WATCHED = target(CHANNELS - 1, CHANNELS);
const STREAM = 'TAIL';
const BARE_STREAM = 'BARE';

/**
 * @param {import('./options.mjs').Options} options
 * @param {import('./servers.mjs').Surroundings} surroundings
 * @param {(line: string) => void} say
 * @returns {Promise<import('./rows.mjs').Figures[]>}
 */
export async function runTail(options, surroundings, say) {
  const rows = options.rows.filter((row) => ROWS[row].channels === 'tail');
  if (rows.length === 0) return [];
  say('tail: starting sidestream and a bare loop');
  const parties = [await follower(surroundings), await bareLoop(surroundings)];
  const results = [];
  for (const row of rows) {
    const windows = parties.map(() => []);
    for (let round = -1; round < options.rounds; round++) {
      for (const [i, party] of parties.entries()) {
        say(`${row}: ${party.name}, ${round < 0 ? 'warms up' : `round ${round + 1} of ${options.rounds}`}`);
        const window = await RUNS[row](party, round < 0 ? options.warmUpSeconds : options.seconds);
        if (round >= 0) windows[i].push(window);
      }
    }
    results.push(...parties.map(({ name }, i) => windowFigures(row, name, windows[i], windows[1])));
  }
  await Promise.all(parties.flatMap(({ server, load }) => [load.stop(), server.stop()]));
  return results;
}

const RUNS = {
  tail: async (party, seconds) => {
    const plan = { perSecond: PER_SECOND, seconds, connections: CHANNELS };
    const { publish } = party.server;
    let messages = 0;
    const counting = async (...asked) => {
      messages = await publish(...asked);
      return Math.floor(messages / CHANNELS) * SUBSCRIBERS;
    };
    const window = await spread({ ...party, server: { ...party.server, publish: counting } }, plan);
    return { ...window, messages };
  },
  'tail-most': async (party, seconds) => {
    const step = (BURST / CHANNELS) * SUBSCRIBERS;
    const publish = () => party.server.publish('spreadBurst', { count: BURST, connections: CHANNELS });
    const window = await closedLoop(party, { seconds, step, publish });
    return { ...window, messages: (window.delivered / SUBSCRIBERS) * CHANNELS };
  },
};

/** One route reads all of the stream. */
async function follower(surroundings) {
  await makeStream({ ...surroundings, name: STREAM, subject: 'tail.own.*' });
  const route = `tail: { channel: 'tail.{n}', subject: 'tail.own.{n}', stream: ${STREAM}, access: public }`;
  const [server, load] = [
    await startSidestream(surroundings, { name: 'tail', routes: [route] }),
    startNode('load.mjs'),
  ];
  await load.ready;
  await load.ask('sampling', { every: 1 });
  const wanted = { port: server.port, path: `/events/tail.${WATCHED}`, from: 0, count: SUBSCRIBERS };
  await load.ask('connect', { ...wanted, inFlight: SUBSCRIBERS });
  return { name: 'sidestream', server, load };
}

/** Counts what the subscribers of that channel would have got. */
async function bareLoop({ natsUrl }) {
  await makeStream({ natsUrl, name: BARE_STREAM, subject: 'bare.own.*' });
  const args = [natsUrl, BARE_STREAM, `bare.own.${WATCHED}`, String(SUBSCRIBERS)];
  const loop = startNode('peers/consumer.mjs', { args, nodeArgs: PROBED });
  const publisher = startNode('publish-nats.mjs', { args: [natsUrl, 'bare'] });
  await Promise.all([loop.ready, publisher.ready]);
  const server = { ...probed(loop), publish: publisher.ask, stop: publisher.stop };
  return { name: 'bare loop', server, load: loop };
}
