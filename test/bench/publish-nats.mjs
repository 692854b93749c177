// Publishes to NATS as any backend would; knows subjects and nothing of Sidestream.
import { connect } from '@nats-io/transport-node';
import { answer } from './requests.mjs';
import { eventData, publisherRequests, target } from './workload.mjs';

const nats = await connect({ servers: process.argv[2] });

answer(
  publisherRequests({
    shared(_first, count) {
      for (let i = 0; i < count; i++) nats.publish('bench.all', eventData());
    },
    own(n, connections) {
      nats.publish(`bench.own.${target(n, connections)}`, eventData());
    },
  }),
);
process.send({ ready: true });
