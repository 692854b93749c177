import { jetstreamManager, StorageType } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';

/** Older messages go: no window brings more than half as many. */
const MAX_MESSAGES = 600_000;

/** A JetStream stream of the subject, kept in memory. @param {{ natsUrl: string, name: string, subject: string }} wanted */
export async function makeStream({ natsUrl, name, subject }) {
  const nats = await connect({ servers: natsUrl });
  try {
    const manager = await jetstreamManager(nats);
    const limits = { storage: StorageType.Memory, max_msgs: MAX_MESSAGES };
    await manager.streams.add({ name, subjects: [subject], ...limits });
  } finally {
    await nats.close();
  }
}
