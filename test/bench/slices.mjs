// A big fan-out is cut into slices, so that what is small is served between: what the one subscriber of a channel, and who
// connects, notice of a channel with ten thousand.
import { startNode } from './processes.mjs';
import { ROWS, trouble } from './rows.mjs';
import { startSidestream } from './sidestream.mjs';
import { median, quantile } from './stats.mjs';
import { closedLoop, measure, steady } from './windows.mjs';

/** Events a second for the one subscriber. */
const SMALL_PER_SECOND = 20;
const VISITS_PER_SECOND = 10;

/** What the big channel does meanwhile; by the names in the table. */
const BIG = {
  'fan-out never stops': (party, { connections, seconds }) =>
    closedLoop(party, {
      seconds,
      step: connections,
      publish: () => party.server.publish('burst', { burst: 1 }),
    }),
  'fan-out at times': (party, { connections, seconds, rate }) =>
    steady(party, { perSecond: rate, burst: 1, seconds, connections }),
  'no fan-out': undefined,
};

/**
 * @param {import('./options.mjs').Options} options
 * @param {import('./servers.mjs').Surroundings} surroundings
 * @param {(line: string) => void} say
 * @returns {Promise<import('./rows.mjs').Figures[]>}
 */
export async function runSlices(options, surroundings, say) {
  if (!options.rows.some((row) => ROWS[row].channels === 'slices')) return [];
  say('slices: starting sidestream');
  const server = await startSidestream(surroundings, { name: 'slices' });
  const [crowd, load, visitor] = [startNode('load.mjs'), startNode('load.mjs'), startNode('visitor.mjs')];
  await Promise.all([crowd, load, visitor].map((each) => each.ready));
  const { port, paths } = server;
  const { connections } = options;
  await crowd.ask('sampling', { every: connections });
  await crowd.ask('connect', { port, path: paths.shared, from: 0, count: connections, inFlight: 100 });
  await load.ask('connect', { port, path: '/events/own.0', from: 0, count: 1, inFlight: 1 });
  const kinds = Object.keys(BIG);
  const windows = new Map(kinds.map((kind) => [kind, []]));
  for (let round = -1; round < options.rounds; round++) {
    const seconds = round < 0 ? options.warmUpSeconds : options.seconds;
    for (const kind of kinds) {
      say(`slices: ${kind}, ${round < 0 ? 'warms up' : `round ${round + 1} of ${options.rounds}`}`);
      const window = await beside({ server, crowd, load, visitor }, BIG[kind], { ...options, seconds });
      if (round >= 0) windows.get(kind).push(window);
    }
  }
  await Promise.all([crowd, load, visitor, server].map((each) => each.stop()));
  const results = kinds.map((kind) => figures(kind, windows.get(kind), connections));
  return results.map((one) => ({ ...one, ...sharesOfFanout(one, results.at(-1)) }));
}

/** The small channel and the visitor for a while, beside what the big one does. */
async function beside({ server, crowd, load, visitor }, runBig, { seconds, connections, rate }) {
  const plan = { perSecond: SMALL_PER_SECOND, seconds, connections: 1 };
  const [small, visitsMs, big] = await Promise.all([
    measure({ server, load }, () => server.publish('spread', plan)),
    visitor.ask('visit', {
      port: server.port,
      path: server.paths.silent,
      perSecond: VISITS_PER_SECOND,
      seconds,
    }),
    runBig?.({ name: 'slices', server, load: crowd }, { seconds, connections, rate }),
  ]);
  return { small, visitsMs, big };
}

function figures(kind, windows, connections) {
  const smalls = windows.map(({ small }) => small);
  const bigs = windows.flatMap(({ big }) => big ?? []);
  const latenciesMs = smalls.flatMap((small) => small.latenciesMs);
  const visitsMs = windows.flatMap((window) => window.visitsMs);
  const [p99Ms, visitP99Ms] = [quantile(latenciesMs, 0.99), quantile(visitsMs, 0.99)];
  // Where it never stops: how long it takes to go round once.
  const fanoutMs =
    kind === 'fan-out never stops'
      ? median(bigs.map((big) => (big.seconds * 1000 * connections) / big.delivered))
      : undefined;
  const visits = `first byte of a new connection: p50 ${quantile(visitsMs, 0.5).toFixed(1)}, p99 ${visitP99Ms.toFixed(1)} ms`;
  return {
    row: 'slices',
    server: kind,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms,
    ...(bigs.length > 0 && {
      deliveriesPerSecond: median(bigs.map((big) => big.delivered / big.seconds)),
      clientBusy: median(bigs.map((big) => big.loadCpuMicros / 1e6 / big.seconds)),
    }),
    visitP99Ms,
    fanoutMs,
    note: trouble([...smalls, ...bigs]),
    remark: fanoutMs === undefined ? visits : `${visits}; a fan-out ${fanoutMs.toFixed(0)} ms`,
  };
}

/** What is waited longer than without a fan-out, by what one takes: uncut, all of it would be. */
function sharesOfFanout({ p99Ms, visitP99Ms, fanoutMs }, quiet) {
  if (fanoutMs === undefined) return {};
  return {
    p99OfFanout: Math.max(0, p99Ms - quiet.p99Ms) / fanoutMs,
    visitOfFanout: Math.max(0, visitP99Ms - quiet.visitP99Ms) / fanoutMs,
  };
}
