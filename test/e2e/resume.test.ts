import { setTimeout as sleep } from 'node:timers/promises';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { fileConfig } from '../support/bridge.ts';
import { serve } from '../support/cli.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { startServed } from '../support/served.ts';
import { launchChromium, noChromium } from './chromium.ts';
import { startForwarder } from './forwarder.ts';
import { openPage, type WatchingPage } from './page.ts';

const SUBJECT = 'orders.7';
/** Between two orders: a few are published while a browser is away, and not more than it may be sent. */
const PACE_MS = 10;

/** One order after another, numbered from 1. */
class Orders {
  /** How many the stream has. */
  stored = 0;
  #isOpen = true;
  readonly #done: Promise<void>;

  constructor(publish: (number: number) => Promise<unknown>) {
    this.#done = this.#run(publish);
  }

  /** Resolves with how many there are in all. */
  async stop(): Promise<number> {
    this.#isOpen = false;
    await this.#done;
    return this.stored;
  }

  async #run(publish: (number: number) => Promise<unknown>): Promise<void> {
    while (this.#isOpen) {
      const wasStored = await publish(this.stored + 1).then(
        () => true,
        () => false, // NATS is away: the same order again, under the same id
      );
      if (wasStored) this.stored += 1;
      await sleep(PACE_MS);
    }
  }
}

async function startOrders(nats: NatsServer): Promise<Orders> {
  const { connection } = await startPublisher(nats);
  const stream = jetstream(connection, { timeout: 1000 });
  const orders = new Orders((number) => stream.publish(SUBJECT, `${number}`, { msgID: `${number}` }));
  onTestFinished(() => void orders.stop());
  return orders;
}

async function setUp(browser: Browser) {
  const page = await openPage(browser);
  const nats = await startNats({ jetStream: true });
  const { connection } = await startPublisher(nats);
  await (await jetstreamManager(connection)).streams.add({ name: 'ORDERS', subjects: ['orders.>'] });
  const config = {
    http: { cors: { origins: [page.origin] } },
    sse: { retry: '200ms..300ms' },
    channels: {
      orders: {
        channel: 'orders.{id}',
        subject: 'orders.{id}',
        stream: 'ORDERS',
        access: 'public',
        event: 'order',
      },
    },
  };
  return { page, nats, config };
}

const watch = (page: WatchingPage, port: number) =>
  page.watch(`http://127.0.0.1:${port}/events/orders.7`, ['order', 'sidestream.open', 'sidestream.gap']);

/** Waits until the page has as many orders as the stream has now. */
async function caughtUp(page: WatchingPage, orders: Orders): Promise<void> {
  await page.until(`seen.filter(({ type }) => type === 'order').length >= ${orders.stored}`);
}

/** What the page was told each time that it was let in. */
async function verdicts(page: WatchingPage): Promise<string[]> {
  const opened = await page.seen('sidestream.open');
  return opened.map(({ data }) => JSON.parse(data).channels[0].resume);
}

/** Every order once, in order, and no word of a gap. */
async function expectAll(page: WatchingPage, orders: Orders): Promise<void> {
  const count = await orders.stop();
  await caughtUp(page, orders);
  const numbers = (await page.seen('order')).map(({ data }) => Number(data));
  expect(numbers).toEqual(Array.from({ length: count }, (_, index) => index + 1));
  expect(await page.seen('sidestream.gap')).toEqual([]);
}

describe.skipIf(noChromium !== undefined)('a native EventSource in Chromium, on a stream route', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser.close());

  it('misses nothing and gets nothing twice while bridges drain, are killed and are started again', async () => {
    const { page, nats, config } = await setUp(browser);
    const start = () => serve(fileConfig(config, nats));
    const [first, second] = [await start(), await start()];
    const address = await startForwarder(first.httpPort);
    await watch(page, address.port);
    await page.event('sidestream.open');
    const orders = await startOrders(nats);
    await page.event('order', 20);

    address.target = second.httpPort;
    first.cli.signal('SIGTERM');
    expect(await first.cli.exited()).toBe(0);
    await page.event('sidestream.open', 2);
    await caughtUp(page, orders);

    const before = orders.stored;
    await second.cli.kill();
    await poll('orders that the page misses', () => orders.stored > before + 5);
    address.target = (await start()).httpPort;
    await page.event('sidestream.open', 3);
    await expectAll(page, orders);
    expect(await verdicts(page)).toEqual(['live', 'recovered', 'recovered']);
    expect(orders.stored).toBeGreaterThan(25);
  });

  it('misses nothing and gets nothing twice while nats-server is killed and started again, and its line is cut', async () => {
    const { page, nats, config } = await setUp(browser);
    const bridge = await startServed({ nats, config });
    const address = await startForwarder(bridge.httpPort);
    await watch(page, address.port);
    await page.event('sidestream.open');
    const orders = await startOrders(nats);
    await page.event('order', 20);

    await nats.kill();
    await poll(
      'the loss to be noticed',
      async () => (await bridge.sample('sidestream_nats_connected')) === 0,
    );
    address.cut();
    await page.event('sidestream.open', 2);
    const before = orders.stored;
    await nats.start();
    await poll('orders to be stored again', () => orders.stored > before + 5);
    await caughtUp(page, orders);

    address.cut();
    await page.event('sidestream.open', 3);
    await expectAll(page, orders);
    expect(await verdicts(page)).toEqual(['live', 'recovered', 'recovered']);
  });
});
