// All come back at once, as after a redeploy or a proxy's restart: connected, cut off, 20 events published meanwhile.
// What that costs, whether each has exactly what it missed, and what the subscribers of a live channel notice of it.
import { setTimeout as delay } from 'node:timers/promises';
import { startNode } from './processes.mjs';
import { ROWS } from './rows.mjs';
import { startSidestream } from './sidestream.mjs';
import { crowded, crowdedFigures, IN_FLIGHT, liveChannel, quietFigures } from './storm.mjs';
import { makeStream } from './streams.mjs';
import { steady } from './windows.mjs';

const MISSED = 20;
const CLIENTS_PER_CHANNEL = 10;
const STREAM = 'RESUME';
/** Routes of one stream: what was missed is in memory, or has to be read. */
const KINDS = { memory: '', stream: ', history: { size: 0 }' };

const routes = Object.entries(KINDS).map(
  ([kind, policy]) =>
    `${kind}: { channel: '${kind}.{n}', subject: 'resume.${kind}.{n}', stream: ${STREAM}, access: public${policy} }`,
);

/**
 * As many clients as `connections`, in rounds.
 * @param {import('./options.mjs').Options} options
 * @param {import('./servers.mjs').Surroundings} surroundings
 * @param {(line: string) => void} say
 * @returns {Promise<import('./rows.mjs').Figures[]>}
 */
export async function runResume(options, surroundings, say) {
  const rows = options.rows.filter((row) => ROWS[row].channels === 'resume');
  if (rows.length === 0) return [];
  say('resume: starting sidestream');
  await makeStream({ ...surroundings, name: STREAM, subject: 'resume.*.*' });
  const server = await startSidestream(surroundings, { name: 'resume', routes });
  const load = startNode('load.mjs');
  await load.ready;
  await load.ask('sampling', { every: 1 });
  const live = liveChannel(options);
  const { port, paths } = server;
  await load.ask('connect', {
    port,
    path: paths.shared,
    from: 0,
    count: live.connections,
    inFlight: IN_FLIGHT,
  });
  const numbers = { newest: 0 };
  const results = [];
  for (const row of rows) {
    const channels = row === 'resume-one' ? 1 : Math.ceil(options.connections / CLIENTS_PER_CHANNEL);
    const rounds = [];
    for (const kind of Object.keys(KINDS)) {
      say(`${row}: from ${kind}`);
      rounds.push(await runKind({ server, load }, { ...options, kind, channels, live, numbers }));
    }
    results.push(...figures(row, rounds, options.connections, channels));
  }
  await Promise.all([load.stop(), server.stop()]);
  return results;
}

/** @returns {Promise<{ kind: string, rounds: { quiet: import('./windows.mjs').Window, storm: Return }[] }>} */
async function runKind(
  party,
  { kind, channels, live, numbers, connections, rounds, seconds, warmUpSeconds },
) {
  const crowd = startNode('returning.mjs');
  await crowd.ready;
  const plan = { kind, channels, live, numbers };
  const wanted = { port: party.server.port, path: `/events/${kind}.{n}`, inFlight: IN_FLIGHT };
  await crowd.ask('connect', { ...wanted, channels, count: connections, number: numbers.newest });
  const done = [];
  for (let round = -1; round < rounds; round++) {
    const windows = await once(
      { ...party, crowd },
      { ...plan, seconds: round < 0 ? warmUpSeconds : seconds },
    );
    if (round >= 0) done.push(windows);
  }
  await crowd.stop();
  await left(party.server, live);
  return { kind, rounds: done };
}

const left = async (server, live) => {
  while ((await server.connections()) > live.connections) await delay(20);
};

/** @typedef {import('./storm.mjs').StormWindow & { reads: number, back: Record<string, number> }} Return */

async function once({ server, load, crowd }, { kind, channels, live, numbers, seconds }) {
  const party = { name: 'resume', server, load };
  await crowd.ask('leave');
  await left(server, live);
  const taken = () => server.metric(`sidestream_publications_total{route="${kind}"}`);
  const until = (await taken()) + MISSED * channels;
  await server.publish('numbered', { kind, channels, first: numbers.newest + 1, count: MISSED });
  numbers.newest += MISSED;
  while ((await taken()) < until) await delay(20);
  const quiet = await steady(party, { ...live, burst: 1, seconds: seconds / 2 });

  const reads = () => server.metric('sidestream_archive_reads_total');
  const readsBefore = await reads();
  let back;
  const task = async () => {
    back = await crowd.ask('comeBack', { port: server.port, inFlight: IN_FLIGHT, events: MISSED });
  };
  const storm = await crowded({ ...party, crowd }, { live, quiet, task });
  // What came after the last that was awaited would be a duplicate.
  const { seconds: stormSeconds } = back;
  back = await crowd.ask('report');
  return { quiet, storm: { ...storm, stormSeconds, reads: (await reads()) - readsBefore, back } };
}

function figures(row, kinds, count, channels) {
  const lines = kinds.map(({ kind, rounds }) => {
    const storms = rounds.map(({ storm }) => storm);
    const common = crowdedFigures({ row, server: `from ${kind}`, windows: storms, count });
    const reads = Math.max(...storms.map((storm) => storm.reads));
    const cpuSeconds = (common.cpuMicros * count) / 1e6;
    const remark = `${common.remark}, ${cpuSeconds.toFixed(2)} s CPU, ${reads} ${reads === 1 ? 'read' : 'reads'}`;
    const note = [common.note, unlike(storms, count)].filter(Boolean).join(', ');
    return { ...common, reads, channels, note, remark };
  });
  const quiet = kinds.flatMap(({ rounds }) => rounds.map((round) => round.quiet));
  return [...lines, quietFigures(row, quiet)];
}

/** What was not as it has to be; nothing where each got what it missed, once and in order. */
function unlike(storms, count) {
  const sum = (of) => storms.reduce((total, { back }) => total + of(back), 0);
  const absent = sum(({ received, doubled }) => count * MISSED - (received - doubled));
  const leftOut = sum((back) => back.leftOut);
  const doubled = sum((back) => back.doubled);
  const untold = sum(({ recovered }) => count - recovered);
  const ended = sum((back) => back.ended);
  return [
    absent > 0 && `LOSS: ${absent} missed events did not come`,
    leftOut > 0 && `LOSS: ${leftOut} left out before later ones`,
    doubled > 0 && `DOUBLED: ${doubled}`,
    untold > 0 && `${untold} were not told that all is there`,
    ended > 0 && `${ended} connections ended`,
  ]
    .filter(Boolean)
    .join(', ');
}
