// What an event takes that history keeps: were it kept once per subscriber, a thousand of them would show it.
import { startNode } from './processes.mjs';
import { ROWS, trouble } from './rows.mjs';
import { startSidestream } from './sidestream.mjs';
import { measure } from './windows.mjs';

/** Events at once: joined for each subscriber to a chunk that is well below the limit of a slow one. */
const BURST = 100;
/** What goes before the first reading warms the code up and fills the heap's spare room. */
const WARM_UP_SHARE = 0.2;
const HISTORY = 'size: 1000000, age: 1h, bytes: 1GiB';

/**
 * Twice as many events as `connections`, kept after they went to one subscriber, or to a tenth of `connections`.
 * @param {import('./options.mjs').Options} options
 * @param {import('./servers.mjs').Surroundings} surroundings
 * @param {(line: string) => void} say
 * @returns {Promise<import('./rows.mjs').Figures[]>}
 */
export async function runMemory(options, surroundings, say) {
  if (!options.rows.some((row) => ROWS[row].channels === 'memory')) return [];
  const bursts = Math.ceil((options.connections * 2) / BURST);
  const results = [];
  for (const subscribers of [1, Math.max(2, Math.ceil(options.connections / 10))]) {
    const name = subscribers === 1 ? '1 subscriber' : `${subscribers} subscribers`;
    say(`history: ${name}`);
    results.push({ row: 'history', server: name, ...(await weigh(surroundings, subscribers, bursts)) });
  }
  return results;
}

async function weigh(surroundings, subscribers, bursts) {
  const server = await startSidestream(surroundings, { history: HISTORY, historyBytes: '1GiB' });
  const load = startNode('load.mjs');
  await load.ready;
  const { port, paths } = server;
  await load.ask('connect', { port, path: paths.shared, from: 0, count: subscribers, inFlight: 100 });
  const publish = (count) =>
    measure({ server, load }, () => publishBursts({ server, load }, count, subscribers));
  const windows = [await publish(Math.ceil(bursts * WARM_UP_SHARE))];
  const before = await weights(server);
  windows.push(await publish(bursts));
  const after = await weights(server);
  await Promise.all([load.stop(), server.stop()]);
  const [heapBytes, counted, bytesPerEvent] = after.map((bytes, i) => (bytes - before[i]) / (bursts * BURST));
  return {
    bytesPerEvent,
    heapBytes,
    note: trouble(windows),
    remark: `${bytesPerEvent.toFixed(0)} B resident an event kept; counted as ${counted.toFixed(0)}`,
  };
}

/** One at a time, so that no subscriber falls behind. */
async function publishBursts({ server, load }, bursts, subscribers) {
  const { delivered } = await load.ask('report');
  for (let i = 1; i <= bursts; i++) {
    await server.publish('burst', { burst: BURST });
    await load.ask('deliveries', { count: delivered + i * BURST * subscribers, quietMs: 3000 });
  }
  return bursts * BURST * subscribers;
}

async function weights(server) {
  return [
    await server.heldBytes(),
    await server.metric('sidestream_history_bytes'),
    await server.residentBytes(),
  ];
}
