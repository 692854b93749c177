// What a service would do by itself: node:http and one res.write per connection.
import { createServer } from 'node:http';
import { answer } from '../requests.mjs';
import { frames, publisherRequests, target } from '../workload.mjs';
import { oncePerTurn } from './turns.mjs';

const shared = new Set();
const own = new Map();

const sendToAll = oncePerTurn((text) => {
  for (const res of shared) res.write(text);
});

answer(
  publisherRequests({
    shared: (first, count) => sendToAll(frames(first, count)),
    own(n, connections) {
      own.get(target(n, connections))?.write(frames(n, 1));
    },
  }),
);

const server = createServer((req, res) => {
  const [, kind, index] = req.url.split('/');
  const [of, key] = kind === 'own' ? [own, Number(index)] : [shared, res];
  res.on('close', () => of.delete(key));
  kind === 'own' ? own.set(key, res) : shared.add(res);
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
  res.write(':\n\n');
});
server.listen(Number(process.argv[2]), '127.0.0.1', () => process.send({ ready: true }));
