import { createServer, connect as dial, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { startBridge } from '../support/bridge.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';

/** A way to NATS that holds back what goes to the server until it is let go. */
async function slowWay({ port }: NatsServer) {
  let held: (() => void)[] | undefined;
  const sockets = new Set<Socket>();
  const proxy = createServer((near) => {
    const far = dial(port, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => [near, far].map((end) => end.destroy()));
    }
    far.pipe(near);
    near.on('data', (bytes) => {
      const pass = () => far.write(bytes);
      if (held === undefined) pass();
      else held.push(pass);
    });
  });
  await new Promise<void>((resolve) => {
    proxy.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  const address = proxy.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    hold: () => {
      held = [];
    },
    get holds() {
      return held?.length ?? 0;
    },
    letGo: () => {
      const waiting = held ?? [];
      held = undefined;
      for (const pass of waiting) pass();
    },
  };
}

test('sidestream.open comes when NATS has the subscription, so that what is published after it arrives', async () => {
  const nats = await startNats();
  const way = await slowWay(nats);
  const bridge = await startBridge({
    nats,
    config: { nats: { servers: [`nats://127.0.0.1:${way.port}`] } },
  });
  const publisher = await startPublisher(nats);
  way.hold();
  const client = await bridge.request('/events?channels=topic.a,topic.b');
  expect(client.status).toBe(200);
  expect(client.retryMs).toBeGreaterThan(0);
  await poll('the subscription to be on its way', () => way.holds > 0);
  await publisher.publish('topics.a', 'before anybody was told to be there');
  expect(bridge.metrics.route('topic').publications).toBe(0);
  way.letGo();
  const open = await client.next();
  expect(open.event).toBe('sidestream.open');
  await publisher.publish('topics.a', 'one');
  await publisher.publish('topics.b', 'two');
  expect((await client.take(2)).map(({ data }) => data)).toEqual(['one', 'two']);
});

test('who joins a channel that is fed already is told at once', async () => {
  const nats = await startNats();
  const way = await slowWay(nats);
  const bridge = await startBridge({
    nats,
    config: { nats: { servers: [`nats://127.0.0.1:${way.port}`] } },
  });
  await bridge.stream('/events/topic.a');
  way.hold();
  await bridge.stream('/events/topic.a');
});

test('a client that leaves while its channel is being opened leaves nothing behind', async () => {
  const nats = await startNats();
  const way = await slowWay(nats);
  const bridge = await startBridge({
    nats,
    config: { nats: { servers: [`nats://127.0.0.1:${way.port}`] } },
  });
  way.hold();
  (await bridge.request('/events/topic.a')).destroy();
  await poll('its end', () => bridge.metrics.connections === 0);
  way.letGo();
  await bridge.stream('/events/topic.a');
  expect(bridge.metrics.connections).toBe(1);
});

test('subscriptions over the server’s limit are told as unavailable, and fed once there is room', async () => {
  const config = { control: { api: false } };
  const unlimited = await startNats();
  await (await startBridge({ nats: unlimited, config })).stream('/events/topic.a');
  // Its own and that of one channel; there is to be room for one more.
  const ours = /^(sidestream|topics|_INBOX)\./;
  const own = (await unlimited.subscriptions()).filter((subject) => ours.test(subject)).length;
  const nats = await startNats({ config: `max_subscriptions: ${own + 1}` });
  const bridge = await startBridge({ nats, config });
  const held = await bridge.stream('/events?channels=topic.a,topic.b');
  const client = await bridge.request('/events?channels=topic.c,topic.d,topic.e');
  const events = await client.take(4);
  expect(events.map(({ event }) => event)).toEqual(['sidestream.open', ...Array(3).fill('sidestream.gap')]);
  for (const { data } of events.slice(1)) expect(JSON.parse(data)).toMatchObject({ reason: 'unavailable' });
  const publisher = await startPublisher(nats);
  await publisher.publish('topics.a', 'goes on');
  expect((await held.next()).data).toBe('goes on');
  expect(await bridge.sample('sidestream_nats_subscriptions')).toBe(2);
});

test('refused subjects do not fill the log, however many are asked for', async () => {
  const nats = await startNats({
    config:
      'authorization { users: [{ user: u, password: p, permissions: { subscribe: { deny: "topics.*" } } }] }',
  });
  const bridge = await startBridge({ nats, config: { nats: { auth: { user: 'u', password: 'p' } } } });
  for (let round = 0; round < 10; round += 1) {
    const channels = Array.from({ length: 16 }, (_, i) => `topic.${round}-${i}`).join(',');
    const client = await bridge.request(`/events?channels=${channels}`);
    await client.next('sidestream.open');
    expect(await client.take(16)).toHaveLength(16);
    client.destroy();
  }
  const loud = bridge.logs.filter(({ level }) => level === 'warn' || level === 'error');
  expect(loud.length).toBeLessThanOrEqual(3);
});
