// A client that comes now and then, waits for the first byte of its stream and goes: what a new connection notices.
import { connect } from 'node:net';
import { requestHead } from './request-head.mjs';
import { answer } from './requests.mjs';
import './probe.mjs';
import { pace } from './workload.mjs';

/** Who has not been answered by then never will be. */
const PATIENCE_MS = 20_000;

/** Milliseconds from asking for a connection to the first byte of the answer. */
function visit(port, path) {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const socket = connect(port, '127.0.0.1');
    const patience = setTimeout(() => reject(new Error('a new connection was not answered')), PATIENCE_MS);
    socket.on('error', reject);
    socket.once('data', () => {
      clearTimeout(patience);
      resolve(performance.now() - start);
      socket.removeAllListeners('error').on('error', () => {});
      socket.resetAndDestroy();
    });
    socket.write(requestHead(path));
  });
}

answer({
  async visit({ port, path, perSecond, seconds }) {
    const visits = [];
    await pace({ perSecond, seconds, emit: () => visits.push(visit(port, path)) });
    return Promise.all(visits);
  },
});
process.channel.ref();
process.send({ ready: true });
