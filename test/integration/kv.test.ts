import { Kvm } from '@nats-io/kv';
import { expect, test } from 'vitest';
import type { Opened } from '../../src/hub/recovery.ts';
import { startBridge, type TestBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { startPublisher } from '../support/publisher.ts';

const CHANNELS = {
  one: { channel: 'setting-{app}-of', kv: 'settings', key: '{app}.color', access: 'public' },
  all: { channel: 'settings.{app}', kv: 'settings', key: '{app}.>', access: 'public', envelope: true },
};

async function setUp() {
  const nats = await startNats({ jetStream: true });
  const publisher = await startPublisher(nats);
  const bucket = await new Kvm(publisher.connection).create('settings', { history: 3 });
  return { bucket, bridge: () => startBridge({ nats, config: { channels: CHANNELS } }) };
}

async function join(bridge: TestBridge, channel: string, cursor?: string) {
  const headers = cursor === undefined ? {} : { 'Last-Event-ID': cursor };
  const client = await bridge.request(`/events/${channel}`, { headers });
  const { channels }: { channels: readonly Opened[] } = JSON.parse(
    (await client.next('sidestream.open')).data,
  );
  return {
    client,
    opened: channels[0],
    take: async (count: number) => (await client.take(count)).map(({ event, data }) => `${event} ${data}`),
  };
}

test('who joins gets the current value, then each change', async () => {
  const { bucket, bridge } = await setUp();
  await bucket.put('shop.color', 'red');
  await bucket.put('shop.color', 'green');
  await bucket.put('shop.size', 'large');
  const { opened, take } = await join(await bridge(), 'setting-shop-of');
  expect(opened).toEqual({ channel: 'setting-shop-of', resume: 'live', replayed: 1 });
  await bucket.put('shop.color', 'blue');
  await bucket.delete('shop.color');
  await bucket.put('other.color', 'black');
  await bucket.put('shop.color', 'white');
  expect(await take(4)).toEqual(['put green', 'put blue', 'delete ', 'put white']);
});

test('a channel of many keys gets each one’s value, with the key in the envelope, and none that was deleted', async () => {
  const { bucket, bridge } = await setUp();
  for (const [key, value] of [
    ['shop.color', '"red"'],
    ['shop.gone', '1'],
    ['shop.size', '{"w":3}'],
    ['shop.color', '"blue"'],
  ] as const)
    await bucket.put(key, value);
  await bucket.delete('shop.gone');
  const one = await bridge();
  const { client, opened } = await join(one, 'settings.shop');
  expect(opened?.replayed).toBe(2);
  const values = (await client.take(2)).map(({ data }) => JSON.parse(data));
  expect(values).toMatchObject([
    { channel: 'settings.shop', key: 'shop.size', event: 'put', revision: 3, data: { w: 3 } },
    { channel: 'settings.shop', key: 'shop.color', event: 'put', revision: 4, data: 'blue' },
  ]);
  await bucket.delete('shop.size');
  expect(JSON.parse((await client.next()).data)).toMatchObject({
    key: 'shop.size',
    event: 'delete',
    data: null,
  });
  // Who joins the running bridge later gets what is current then: memory has older values, too.
  const later = await join(one, 'settings.shop');
  expect(later.opened?.replayed).toBeGreaterThan(0);
  const state = new Map<string, unknown>();
  for (const { data } of await later.client.take(later.opened?.replayed ?? 0)) {
    const { key, data: value } = JSON.parse(data);
    state.set(key, value);
  }
  expect(Object.fromEntries([...state].filter(([, value]) => value !== null))).toEqual({
    'shop.color': 'blue',
  });
});

test('who comes back, to any replica, gets the changes since and nothing else', async () => {
  const { bucket, bridge } = await setUp();
  await bucket.put('shop.color', 'red');
  await bucket.put('shop.size', 'large');
  const { client } = await join(await bridge(), 'settings.shop');
  await client.take(2);
  client.destroy();
  await bucket.put('shop.color', 'blue');
  await bucket.delete('shop.size');
  const back = await join(await bridge(), 'settings.shop', client.lastEventId);
  expect(back.opened).toEqual({ channel: 'settings.shop', resume: 'recovered', replayed: 2 });
  expect((await back.client.take(2)).map(({ data }) => JSON.parse(data))).toMatchObject([
    { key: 'shop.color', event: 'put', data: 'blue' },
    { key: 'shop.size', event: 'delete', data: null },
  ]);
});
