// The floor: uWebSockets.js with nothing around it. Cork and write per connection, no hub, no limits, no headers but
// the needed ones; the events are made in the process, not read from anywhere.
import { answer } from '../requests.mjs';
import { frames, publisherRequests, target } from '../workload.mjs';
import { oncePerTurn } from './turns.mjs';

const uws = await import('uWebSockets.js').catch(() => import('uwebsockets-compat'));
const { App } = uws.default ?? uws;

const shared = new Set();
const own = new Map();
// One function for all writes: a closure per connection would be a cost that a bare loop need not have.
let current;
let bytes;
const write = () => current.write(bytes);

function send(res) {
  current = res;
  res.cork(write);
}

const sendToAll = oncePerTurn((text) => {
  bytes = Buffer.from(text);
  for (const res of shared) send(res);
});

answer(
  publisherRequests({
    shared: (first, count) => sendToAll(frames(first, count)),
    own(n, connections) {
      const res = own.get(target(n, connections));
      bytes = Buffer.from(frames(n, 1));
      if (res) send(res);
    },
  }),
);

const app = App();
app.get('/*', (res, req) => {
  const [, kind, index] = req.getUrl().split('/');
  const [of, key] = kind === 'own' ? [own, Number(index)] : [shared, res];
  res.onAborted(() => of.delete(key));
  kind === 'own' ? own.set(key, res) : shared.add(res);
  res.cork(() => {
    res.writeHeader('Content-Type', 'text/event-stream').writeHeader('Cache-Control', 'no-cache');
    res.write(':\n\n');
  });
});
app.listen('127.0.0.1', Number(process.argv[2]), (socket) => {
  if (!socket) process.exit(1);
  process.send({ ready: true });
});
