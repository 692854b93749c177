// Loaded into each process of the bridge with `--import`, so that it needs no code for it: whoever connects to its socket in the folder
// that SOAK_PROBE names is told, after garbage collection, what the process holds.
import { readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** V8 gives memory back from a thread of its own, and what finalizers let go of is collected by the next round. */
const ROUNDS = 3;
const SETTLE_MS = 30;

// `--expose-gc` may not stand in NODE_OPTIONS, which is how this got here.
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

async function sample() {
  for (let round = 0; round < ROUNDS; round += 1) {
    collect();
    await delay(SETTLE_MS);
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return {
    residentBytes: rss,
    heldBytes: heapUsed + external,
    descriptors: readdirSync('/proc/self/fd').length,
    // Timers, sockets, servers that keep the process running: a timer of a connection that is gone stays here.
    resources: process.getActiveResourcesInfo().length,
  };
}

const server = createServer(async (socket) => {
  socket.on('error', () => {}); // EPIPE: who asked has gone
  socket.end(JSON.stringify(await sample()));
});
// The bridge decides when it ends, not this conversation.
server.listen(join(process.env.SOAK_PROBE, `${process.pid}`)).unref();
