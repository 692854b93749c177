// npm ci && node publish.mjs
import { setTimeout as wait } from 'node:timers/promises';
import { jetstream } from '@nats-io/jetstream';
import { connect, headers } from '@nats-io/transport-node';

const nc = await connect({
  servers: process.env.NATS_URL ?? 'nats://127.0.0.1:4222',
  maxReconnectAttempts: -1, // by default it gives up for good after ten
});
// What the server refuses (a subject that is not permitted, say) is told here, not to publish().
(async () => {
  for await (const status of nc.status()) if (status.type === 'error') console.error(status.error);
})();

// 1. A value. Nobody need be there to read it.
nc.publish('market.prices.ACME', '{"price":101.25}');

// 2. With all that Sidestream reads from headers.
const extra = headers();
extra.set('Sse-Event', 'halted'); // the event's name in the browser
extra.set('Sse-Ttl', '30s'); // is not replayed later than that
extra.set('Sse-Priority', 'urgent'); // overtakes what waits for a slow reader
extra.set('Nats-Msg-Id', 'halt-ACME-1'); // published twice, it is passed on once
extra.set('traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'); // from your tracer
nc.publish('market.prices.ACME', '{"until":"15:30"}', { headers: extra });
await nc.flush(); // publish() fills a buffer; now the server has it

// 3. What must not be lost: a stream acknowledges it. With the same id a second attempt does no harm.
const js = jetstream(nc);
async function store(subject, data, msgID, attempts = 5) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await js.publish(subject, data, { msgID, timeout: 2000 });
    } catch (error) {
      if (attempt === attempts) throw error; // not stored, or not known: keep it and try later, with this id
      await wait(100 * 2 ** attempt);
    }
  }
}
const ack = await store('orders.7', '{"state":"paid"}', 'order-7-paid');
console.log(`${ack.stream} ${ack.seq}${ack.duplicate ? ' duplicate' : ''}`);

await nc.drain(); // sends what is left, then closes
