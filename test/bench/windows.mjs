// One measured stretch of time: publish, wait until all has arrived, and read the server's CPU before and after.

/** @typedef {{ name: string, server: import('./servers.mjs').Server, load: import('./processes.mjs').Process }} Party */

/**
 * @typedef {object} Window
 * @property {number} expected deliveries that should have been
 * @property {number} delivered deliveries that were
 * @property {number} ended connections that the server ended meanwhile
 * @property {number} [messages] that the server took in, where the cost of these is asked for
 * @property {number} cpuMicros of the server
 * @property {number} loadCpuMicros of the load client
 * @property {number} seconds from the first publication to the last delivery
 * @property {number} [allocatedBytes] of the server's JavaScript heap, where it was asked for
 * @property {readonly number[]} latenciesMs sampled
 */

/**
 * Events at a steady pace: `perSecond` turns a second of `burst` events each, to the channel that all share.
 * @param {Party} party
 * @param {{ perSecond: number, burst: number, seconds: number, connections: number, padding?: number, format?: 'json' | 'records' }} plan
 *   the last two as of `shapedData`
 */
export function steady({ server, load }, { perSecond, burst, seconds, connections, padding, format }) {
  return measure({ server, load }, async () => {
    const turns = await server.publish('steady', { perSecond, burst, seconds, padding, format });
    return turns * burst * connections;
  });
}

/**
 * The same, and what it takes of the heap. Not asked of every window: the collection that goes before may make what
 * follows a little dearer.
 * @param {Party} party @param {Parameters<typeof steady>[1]} plan
 */
export async function steadyWeighed(party, plan) {
  await party.server.startAllocations();
  const window = await steady(party, plan);
  return { ...window, allocatedBytes: await party.server.stopAllocations() };
}

/**
 * One event at a time, `perSecond`, for as long as `task` takes.
 * @param {Party} party @param {{ perSecond: number, connections: number, task: () => Promise<void> }} plan
 */
export function during({ server, load }, { perSecond, connections, task }) {
  return measure({ server, load }, async () => {
    let underWay = true;
    const over = task().finally(() => {
      underWay = false;
    });
    over.catch(() => {}); // Awaited below, but not before the turn is over.
    let turns = 0;
    while (underWay) turns += await server.publish('steady', { perSecond, burst: 1, seconds: 1 / perSecond });
    await over;
    return turns * connections;
  });
}

/**
 * Each event to one connection's own channel, `perSecond` over all of them.
 * @param {Party} party @param {{ perSecond: number, seconds: number, connections: number }} plan
 */
export function spread({ server, load }, { perSecond, seconds, connections }) {
  return measure({ server, load }, () => server.publish('spread', { perSecond, seconds, connections }));
}

/**
 * As fast as it goes without running away: a further burst each time one has arrived everywhere, two under way.
 * An open loop would measure how long queues grow, and end in the slow-reader limits of those that have them.
 * No latencies: they would tell how many bursts are under way.
 * @param {Party} party @param {{ burst: number, seconds: number, connections: number }} plan
 */
export function saturated({ server, load }, { burst, seconds, connections }) {
  const publish = () => server.publish('burst', { burst });
  return closedLoop({ server, load }, { seconds, step: burst * connections, publish });
}

/**
 * The same of whatever `publish` publishes; it has arrived when there are `step` deliveries more.
 * @param {Party} party @param {{ seconds: number, step: number, publish: () => Promise<void> }} plan
 */
export async function closedLoop({ server, load }, { seconds, step, publish }) {
  const window = await measure({ server, load }, async () => {
    const until = performance.now() + seconds * 1000;
    let bursts = 0;
    const publishOne = () => {
      bursts += 1;
      return publish();
    };
    await load.ask('creditEvery', { step });
    const finished = new Promise((resolve, reject) => {
      const silent = setTimeout(resolve, seconds * 1000 + QUIET_MS);
      load.onNotice(() => {
        if (performance.now() < until) return publishOne().catch(reject);
        clearTimeout(silent);
        resolve();
      });
    });
    for (let i = 0; i < UNDER_WAY; i++) await publishOne();
    await finished;
    load.onNotice(() => {});
    return bursts * step;
  });
  return { ...window, latenciesMs: [] };
}

/** One that is being written and one that waits for its turn: the server never runs dry. */
const UNDER_WAY = 2;
/** No delivery for so long: what is missing will not come. */
const QUIET_MS = 3000;

/**
 * `publish` says how many deliveries it comes to.
 * @param {Party} party @param {() => Promise<number>} publish @returns {Promise<Window>}
 */
export async function measure({ server, load }, publish) {
  await load.ask('takeLatencies');
  await server.startProfile?.();
  const [before, cpuBefore, loadBefore] = await state(server, load);
  const expected = await publish();
  const after = await load.ask('deliveries', { count: before.delivered + expected, quietMs: QUIET_MS });
  const [, cpuAfter, loadAfter] = await state(server, load);
  await server.stopProfile?.();
  const final = await load.ask('report');
  return {
    expected,
    delivered: final.delivered - before.delivered,
    ended: final.ended - before.ended,
    cpuMicros: cpuAfter - cpuBefore,
    loadCpuMicros: loadAfter - loadBefore,
    seconds: (after.atMs - before.atMs) / 1000,
    latenciesMs: await load.ask('takeLatencies'),
  };
}

const state = (server, load) => Promise.all([load.ask('report'), server.cpuMicros(), load.ask('cpuMicros')]);
