// Publishes to NATS as any backend would; knows subjects and nothing of Sidestream.
import { connect } from '@nats-io/transport-node';
import { answer } from './requests.mjs';
import { eventData, numberedData, publisherRequests, shapedData, target } from './workload.mjs';

const [, , servers, prefix] = process.argv;
const nats = await connect({ servers });

answer({
  ...publisherRequests({
    shared(_first, count, shape) {
      for (let i = 0; i < count; i++) nats.publish(`${prefix}.all`, shapedData(shape));
    },
    own(n, connections) {
      nats.publish(`${prefix}.own.${target(n, connections)}`, eventData());
    },
  }),
  /** Events `first … first + count` to every channel of a kind. */
  async numbered({ kind, channels, first, count }) {
    for (let number = first; number < first + count; number++)
      for (let n = 0; n < channels; n++) nats.publish(`${prefix}.${kind}.${n}`, numberedData(number));
    await nats.flush();
  },
});
process.send({ ready: true });
