// What somebody's service has to tell single users, whether they are here or not: it waits for them in a JetStream stream.
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { headers, nanos } from '@nats-io/transport-node';

const STREAM = {
  name: 'DEMO_NOTICES',
  subjects: ['notify.>'],
  max_age: nanos(24 * 3600_000),
  max_bytes: 16 * 1024 * 1024,
};
const EVERY_MS = 20_000;
/** So many of those who signed in last are told something. */
const MAX_USERS = 20;

/** Text, priority, and how long it is worth reading. */
const NOTICES = [
  ['Your order is on its way.', 'normal', '1h'],
  ['Robin mentioned you in the lobby.', 'high', '1h'],
  ['A voucher for you, good for two minutes.', 'normal', '2m'],
  ['Somebody signed in from another browser. Was it you?', 'urgent', '24h'],
];

const wish = ([, priority, ttl]) => {
  const set = headers();
  set.set('Sse-Priority', priority);
  set.set('Sse-Ttl', ttl);
  return set;
};

/**
 * Publishes a notice to each user every now and then.
 * @param {import('@nats-io/transport-node').NatsConnection} nats
 * @returns {Promise<{ know(user: string): void, close(): void }>} `know` names a user who wants to be told
 * @throws where NATS has no JetStream
 */
export async function openNotices(nats) {
  await (await jetstreamManager(nats)).streams.add(STREAM);
  const stream = jetstream(nats);
  /** @type {Map<string, number>} how many each was sent, the last who signed in at the end */
  const users = new Map();
  const tell = (user, sent) => {
    const notice = NOTICES[sent % NOTICES.length];
    users.set(user, sent + 1);
    const data = JSON.stringify({ text: notice[0], at: new Date().toISOString() });
    stream.publish(`notify.${user}.shop`, data, { headers: wish(notice) }).catch((error) => {
      console.error(`a notice was not published: ${error.message}`);
    });
  };
  const timer = setInterval(() => {
    for (const [user, sent] of users) tell(user, sent);
  }, EVERY_MS);
  return {
    know(user) {
      const sent = users.get(user) ?? 0;
      users.delete(user);
      users.set(user, sent);
      if (users.size > MAX_USERS) users.delete(users.keys().next().value);
    },
    close: () => clearInterval(timer),
  };
}
