// One measured stretch of time: publish, wait until all has arrived, and read the server's CPU before and after.

/** @typedef {{ name: string, server: import('./servers.mjs').Server, load: import('./processes.mjs').Process }} Party */

/**
 * @typedef {object} Window
 * @property {number} expected deliveries that should have been
 * @property {number} delivered deliveries that were
 * @property {number} ended connections that the server ended meanwhile
 * @property {number} cpuMicros of the server
 * @property {number} loadCpuMicros of the load client
 * @property {number} seconds from the first publication to the last delivery
 * @property {readonly number[]} latenciesMs sampled
 */

/**
 * Events at a steady pace: `perSecond` turns a second of `burst` events each, to the channel that all share.
 * @param {Party} party @param {{ perSecond: number, burst: number, seconds: number, connections: number }} plan
 */
export function steady({ server, load }, { perSecond, burst, seconds, connections }) {
  return measure({ server, load }, async () => {
    const turns = await server.publish('steady', { perSecond, burst, seconds });
    return turns * burst * connections;
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
export async function saturated({ server, load }, { burst, seconds, connections }) {
  const window = await measure({ server, load }, async () => {
    const until = performance.now() + seconds * 1000;
    let bursts = 0;
    const publishOne = () => {
      bursts += 1;
      return server.publish('burst', { burst });
    };
    await load.ask('creditEvery', { step: burst * connections });
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
    return bursts * burst * connections;
  });
  return { ...window, latenciesMs: [] };
}

/** One that is being written and one that waits for its turn: the server never runs dry. */
const UNDER_WAY = 2;
/** No delivery for so long: what is missing will not come. */
const QUIET_MS = 3000;

/** @returns {Promise<Window>} */
async function measure({ server, load }, publish) {
  await load.ask('takeLatencies');
  const [before, cpuBefore, loadBefore] = await state(server, load);
  const expected = await publish();
  const after = await load.ask('deliveries', { count: before.delivered + expected, quietMs: QUIET_MS });
  const [, cpuAfter, loadAfter] = await state(server, load);
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
