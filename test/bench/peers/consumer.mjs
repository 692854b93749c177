// The floor of following a stream: a push consumer with flow control, as Sidestream's, whose messages are only counted.
import { AckPolicy, DeliverPolicy, jetstreamManager } from '@nats-io/jetstream';
import { connect, createInbox, nanos } from '@nats-io/transport-node';
import { answer } from '../requests.mjs';
import { tally } from '../tally.mjs';

const [, , servers, stream, watched, weight] = process.argv;
const nats = await connect({ servers });
const arrived = tally(() => ({ ended: 0 }));
const inbox = createInbox();

nats.subscribe(inbox, {
  callback: (error, message) => {
    if (error) throw error;
    if (message.subject === watched) arrived.add(Number(weight));
    if (message.subject !== inbox) return;
    // ADR-9, ADR-13: flow control asks for an answer, and a heartbeat asks again.
    if (message.reply) message.respond();
    const stalled = message.headers?.get('Nats-Consumer-Stalled');
    if (stalled) nats.publish(stalled);
  },
});
const manager = await jetstreamManager(nats);
await manager.consumers.add(stream, {
  deliver_policy: DeliverPolicy.New,
  deliver_subject: inbox,
  ack_policy: AckPolicy.None,
  flow_control: true,
  idle_heartbeat: nanos(2000),
  mem_storage: true,
});
answer({ ...arrived.requests, takeLatencies: () => [] });
process.send({ ready: true });
