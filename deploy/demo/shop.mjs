// The part of somebody's service of which nothing may be missed: orders in a JetStream stream, settings in a key-value
// bucket.
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { nanos } from '@nats-io/transport-node';

const STREAM = { name: 'DEMO_ORDERS', subjects: ['shop.orders'], max_age: nanos(10 * 60_000) };
const BUCKET = 'demo_settings';
const ORDER_EVERY_MS = 250;

const THINGS = ['a teapot', 'two chairs', 'a ladder', 'a lamp', 'six glasses'];
const CITIES = ['Lisbon', 'Osaka', 'Quito', 'Tartu', 'Cork'];

/** The settings there are, and what each is when the shop opens for the first time. */
const SETTINGS = { banner: 'Free shipping today', discount: '5 %', closes: '20:00' };

const order = (number) =>
  JSON.stringify({
    number,
    what: THINGS[number % THINGS.length],
    where: CITIES[Math.floor(number / THINGS.length) % CITIES.length],
  });

/**
 * Publishes one order after the other. One that the stream did not say it has is published again under the same id, of
 * which JetStream stores one: so the numbers in the stream have no hole and no double, whatever becomes of NATS.
 */
function takeOrders(stream, last) {
  let number = last + 1;
  let timer;
  let isOpen = true;
  async function take() {
    try {
      await stream.publish(STREAM.subjects[0], order(number), { msgID: `order-${number}` });
      number += 1;
    } catch {
      // No answer, or no connection: the same number is next.
    }
    if (isOpen) timer = setTimeout(take, ORDER_EVERY_MS);
  }
  take();
  return () => {
    isOpen = false;
    clearTimeout(timer);
  };
}

/**
 * @param {import('@nats-io/transport-node').NatsConnection} nats
 * @returns {Promise<{ set(name: string, value: string): Promise<boolean>, close(): void }>} `set` makes a setting that, or
 * deletes it where the value is empty; false where there is no such setting
 * @throws where NATS has no JetStream
 */
export async function openShop(nats) {
  const { state } = await (await jetstreamManager(nats)).streams.add(STREAM);
  const settings = await new Kvm(nats).create(BUCKET);
  for (const [name, value] of Object.entries(SETTINGS)) {
    if ((await settings.get(`shop.${name}`)) === null) await settings.put(`shop.${name}`, value);
  }
  return {
    async set(name, value) {
      if (!Object.hasOwn(SETTINGS, name)) return false;
      if (value === '') await settings.delete(`shop.${name}`);
      else await settings.put(`shop.${name}`, value);
      return true;
    },
    close: takeOrders(jetstream(nats), state.last_seq),
  };
}
