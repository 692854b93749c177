import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { expect, it, onTestFinished } from 'vitest';
import { startNatsCluster } from '../support/nats-cluster.ts';
import { poll } from '../support/poll.ts';
import { startJetStream, startSources } from '../support/stream-source.ts';

/** A stream of three replicas, one open channel of it, and a publisher. */
async function setUp() {
  const nats = await startNatsCluster();
  const jetStream = await startJetStream(nats);
  await jetStream.add({ num_replicas: 3 });
  const running = await startSources({ nats });
  const one = await running.opened('orders.1');
  const connection = await connect({
    servers: nats.url.split(','),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 50,
  });
  onTestFinished(() => connection.close());
  const client = jetstream(connection, { timeout: 1_000 });
  return { nats, manager: jetStream.manager, running, one, client };
}

it('what was published is read again at once, though the replica that is read may be behind', async () => {
  const { running, client } = await setUp();
  const { archive } = running.source('orders.1');
  const destination = running.destination('orders.1');
  const behind: number[] = [];
  for (let i = 0; i < 300; i += 1) {
    const { seq } = await client.publish('orders.1', `${i}`);
    const from = { kind: 'after', offset: Math.max(0, seq - 3) } as const;
    const { publications } = await archive.read(destination, {
      from,
      through: seq,
      limit: 10,
      maxBytes: 1_000,
    });
    if (publications.at(-1)?.offset !== seq) behind.push(seq);
  }
  expect(behind).toEqual([]);
});

it('a server that dies costs nobody a message', async () => {
  const { nats, manager, running, one, client } = await setUp();
  const stored: number[] = [];
  for (let i = 0; i < 60; i += 1) {
    if (i === 20) await nats.kill((await manager.streams.info('ORDERS')).cluster?.leader ?? '');
    // With an id, so that what was stored without an answer is not stored twice.
    const publish = () => client.publish('orders.1', `${i}`, { msgID: `${i}` }).catch(() => undefined);
    await poll('the publisher', publish);
    stored.push(i);
  }
  // nats-server 2.9 goes on placing consumers on the dead server for a while; each such attempt costs seconds.
  await expect.poll(() => one.taken.at(-1)?.split(' ')[1], { timeout: 60_000 }).toBe('59');
  expect(one.taken.map((note) => note.split(' ')[1])).toEqual(stored.map(String));
  expect(running.logged.filter(({ level }) => level === 'error')).toEqual([]);
}, 90_000);
