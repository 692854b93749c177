// A slow reader hurts only itself: one route's events go to who keeps up, with and without readers beside them that hardly
// read, that stopped reading, and whose machine stands still.
import { spawnSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { start, startNode } from './processes.mjs';
import { requestHead } from './request-head.mjs';
import { ROWS, trouble, windowFigures } from './rows.mjs';
import { startSidestream } from './sidestream.mjs';
import { quantile } from './stats.mjs';
import { steady } from './windows.mjs';

/** Sockets of a few KiB, which Node cannot ask for. */
const CROWD = fileURLToPath(new URL('../integration/slow-crowd.pl', import.meta.url));
const POLICIES = ['close', 'drop', 'latest'];
/** Share of `connections` that keep up. */
const HEALTHY_SHARE = 0.1;
const PER_SECOND = 20;
/** Behind the events' data. Small ones would take minutes to fill what kernels hold for a reader. */
const PADDING_BYTES = 4096 - 128;
/** Events at once, until the crowd are behind as far as may be. */
const FILL = 4;
/** Rounds of that: more than any kernel holds. */
const MOST_FILLS = 400;
/** Of the default `limits.pending`: the rest comes in the window, so that the policy acts there. */
const FULL_BYTES = 0.9 * 256 * 1024;
/** Of all connections that the row makes, one in so many is a slow one of each kind, up to these. */
const CROWDS = [
  { what: 'at 1 B/s', most: 100, bytesPerSecond: 1 },
  { what: 'not reading', most: 100, bytesPerSecond: 0 },
  { what: 'half-open', most: 50, bytesPerSecond: 1, stands: true },
];

export const slowWhy = () =>
  spawnSync('perl', ['-MSocket', '-MIO::Select', '-e', '1']).status === 0 ? '' : 'perl is not installed';

/**
 * @param {import('./options.mjs').Options} options
 * @param {import('./servers.mjs').Surroundings} surroundings
 * @param {(line: string) => void} say
 * @returns {Promise<import('./rows.mjs').Figures[]>}
 */
export async function runSlow(options, surroundings, say) {
  if (!options.rows.some((row) => ROWS[row].channels === 'slow')) return [];
  const why = slowWhy();
  if (why) {
    say(`slow: left out, ${why}`);
    return [];
  }
  const results = [];
  for (const policy of POLICIES) results.push(...(await runPolicy(policy, options, surroundings, say)));
  return results;
}

async function runPolicy(policy, options, surroundings, say) {
  const server = await startSidestream(surroundings, { name: `slow-${policy}`, policy: `slow: ${policy}` });
  const load = startNode('load.mjs');
  await load.ready;
  const healthy = Math.max(1, Math.ceil(options.connections * HEALTHY_SHARE));
  await load.ask('sampling', { every: Math.max(1, Math.floor(healthy / 100)) });
  const { port, paths } = server;
  await load.ask('connect', { port, path: paths.shared, from: 0, count: healthy, inFlight: 100 });
  const party = { name: 'slow', server, load };
  const plan = { perSecond: PER_SECOND, burst: 1, padding: PADDING_BYTES, connections: healthy };
  await steady(party, { ...plan, seconds: options.warmUpSeconds });
  const [alone, beside] = [[], []];
  for (let round = 0; round < options.rounds; round++) {
    say(`slow: ${policy}, round ${round + 1} of ${options.rounds}`);
    alone.push(await steady(party, { ...plan, seconds: options.seconds }));
    beside.push(
      await besideCrowd(party, { ...plan, seconds: options.seconds, healthy, isLatest: policy === 'latest' }),
    );
  }
  await Promise.all([load.stop(), server.stop()]);
  return figures(policy, alone, beside);
}

/**
 * Of `latest` one event waits for each reader, whatever comes.
 * @returns {Promise<import('./windows.mjs').Window & { fills: import('./windows.mjs').Window[], crowd: number, pendingBytes: number, gainedBytes: number, closed: number, spared: number }>}
 */
async function besideCrowd(party, { healthy, isLatest, ...plan }) {
  const { server } = party;
  const resident = () => server.metric('sidestream_process_resident_memory_bytes');
  const [residentBefore, closedBefore, sparedBefore] = [
    await resident(),
    await closed(server),
    await spared(server),
  ];
  const { processes, size } = await assemble(server, healthy);
  const isFull = async () => {
    const cut = (await closed(server)) - closedBefore;
    if ((await server.metric('sidestream_slow_connections')) + cut < size) return false;
    const left = isLatest ? 0 : size - cut;
    return (await server.metric('sidestream_pending_bytes')) >= FULL_BYTES * left;
  };
  const fills = [];
  while (!(await isFull())) {
    if (fills.length === MOST_FILLS) throw new Error('slow: the crowd did not fall behind');
    fills.push(await steady(party, { ...plan, perSecond: 1000, burst: FILL, seconds: 0.001 }));
  }
  const result = {
    ...(await steady(party, plan)),
    fills,
    crowd: size,
    pendingBytes: await server.metric('sidestream_pending_memory_bytes'),
    gainedBytes: (await resident()) - residentBefore,
    closed: (await closed(server)) - closedBefore,
    spared: (await spared(server)) - sparedBefore,
  };
  for (const each of processes) each.signal('SIGCONT');
  await Promise.all(processes.map((each) => each.stop()));
  while ((await server.connections()) > healthy) await delay(20);
  return result;
}

/** The counter has no line before it counts anything. */
const closed = async (server) =>
  (await server.metric('sidestream_connections_closed_total{reason="slow"}')) || 0;

/** Events that the slow were spared, by either policy. */
async function spared({ metric }) {
  const of = async (how) => (await metric(`sidestream_events_skipped_total{route="all",how="${how}"}`)) || 0;
  return (await of('dropped')) + (await of('superseded'));
}

async function assemble(server, healthy) {
  const request = requestHead(server.paths.shared);
  const processes = [];
  let size = 0;
  for (const { most, bytesPerSecond, stands } of CROWDS) {
    const count = Math.max(1, Math.min(most, Math.ceil((healthy * most) / 1000)));
    const args = [CROWD, String(server.port), String(count), String(bytesPerSecond), request];
    const readers = start('perl', args, { keepsStdin: true });
    processes.push(readers);
    size += count;
    while ((await server.connections()) < healthy + size) await delay(20);
    if (stands) readers.signal('SIGSTOP');
  }
  return { processes, size };
}

function figures(policy, alone, beside) {
  const p99 = (windows) =>
    quantile(
      windows.flatMap((window) => window.latenciesMs),
      0.99,
    );
  const most = (of) => Math.max(...beside.map(of));
  const mebibytes = (of) => (most(of) / 1024 / 1024).toFixed(1);
  const acted = `${most((w) => w.closed)} cut off, ${most((w) => w.spared)} events spared`;
  const [{ crowd }] = beside;
  return [
    {
      ...windowFigures('slow', `${policy}, slow ones`, beside, alone),
      p99Times: p99(beside) / p99(alone),
      pendingBytes: most((w) => w.pendingBytes),
      closed: most((w) => w.closed),
      spared: most((w) => w.spared),
      note: trouble(beside.flatMap(({ fills, ...window }) => [...fills, window])),
      remark: `${crowd} slow, ${mebibytes((w) => w.pendingBytes)} MiB waiting, ${mebibytes((w) => w.gainedBytes)} MiB resident more, ${acted}`,
    },
    windowFigures('slow', `${policy}, none slow`, alone, alone),
  ];
}
