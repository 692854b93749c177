import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { expect, test } from 'vitest';
import type { Opened } from '../../src/hub/recovery.ts';
import { Random } from '../stress/random.ts';
import { startBridge, type TestBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { startPublisher } from '../support/publisher.ts';
import { NdjsonClient } from './ndjson-client.ts';
import { longPoll } from './polling.ts';

const CHANNELS = {
  orders: { channel: 'orders-{id}', subject: 'orders.{id}', stream: 'ORDERS', access: 'public' },
  audit: { channel: 'audit-{id}', subject: 'audit.{id}', stream: 'AUDIT', access: 'public' },
  news: { channel: 'news-{id}', subject: 'news.{id}', access: 'public' },
};
/** Each with the subject that feeds it; only some of what is published there is for the client. */
const SUBJECTS = ['orders.1', 'orders.2', 'audit.1', 'news.1', 'news.2'] as const;
const OTHERS = ['orders.9', 'news.9'] as const;
const HOPS = 80;

interface Item {
  readonly event: string;
  readonly data: string;
}

/** A client that keeps its cursor, and at each hop reads on in another way. */
class Wanderer {
  readonly #bridge: TestBridge;
  readonly #target: string;
  readonly #random: Random;
  #cursor = '';
  readonly seen: string[] = [];
  readonly verdicts = new Map<string, number>();
  readonly ways = new Map<string, number>();

  constructor(bridge: TestBridge, channels: readonly string[], random: Random) {
    this.#bridge = bridge;
    this.#target = `/events?channels=${channels.join()}`;
    this.#random = random;
  }

  /** Reads on until `count` more events have come; `meanwhile` runs once it is there. */
  async hop(count: number, meanwhile: () => Promise<void>): Promise<void> {
    const way = this.#random.pick(['sse', 'ndjson', 'poll'] as const);
    this.ways.set(way, (this.ways.get(way) ?? 0) + 1);
    if (way === 'sse') await this.#sse(count, meanwhile);
    else if (way === 'ndjson') await this.#ndjson(count, meanwhile);
    else await this.#poll(count, meanwhile);
  }

  async #sse(count: number, meanwhile: () => Promise<void>): Promise<void> {
    const headers = this.#cursor === '' ? {} : { 'Last-Event-ID': this.#cursor };
    const client = await this.#bridge.request(this.#target, { headers });
    await client.until(({ event, data, id }) => this.#take({ event, data }, id));
    const done = meanwhile();
    for (let left = count; left > 0; ) {
      const { event, data, id } = await client.next();
      if (!this.#take({ event, data }, id)) left -= 1;
    }
    client.destroy();
    await done;
  }

  async #ndjson(count: number, meanwhile: () => Promise<void>): Promise<void> {
    const client = await NdjsonClient.open(this.#bridge, this.#target, { cursor: this.#cursor });
    await client.saw('sidestream.open', ({ objects }) => objects.some(({ data }) => data !== undefined));
    const done = meanwhile();
    await client.saw(`${count} events`, ({ published }) => published.length >= count);
    // It reads on to the end of what came, or breaks off anywhere behind what it wanted.
    client.close();
    let left = count;
    for (const { id = '', event = 'message', data } of client.objects) {
      if (data !== undefined && !this.#take({ event, data }, id)) left -= 1;
      if (left === 0 && this.#random.chance(0.3)) break;
    }
    await done;
  }

  async #poll(count: number, meanwhile: () => Promise<void>): Promise<void> {
    const limit = this.#random.pick([1, 2, 3, 100]);
    const wait = count === 0 ? '0s' : '5s';
    const done = meanwhile();
    let left = count;
    do {
      const target = `${this.#target}&wait=${wait}&limit=${limit}`;
      const { body } = await longPoll(this.#bridge, target, this.#cursor);
      this.#tally(body.channels);
      for (const { event = 'message', data } of body.events) {
        if (!this.#take({ event, data }, '')) left -= 1;
      }
      this.#cursor = body.cursor;
    } while (left > 0);
    await done;
  }

  /** Whether it was one of Sidestream's own. */
  #take({ event, data }: Item, id: string): boolean {
    if (id !== '') this.#cursor = id;
    if (event === 'sidestream.open') this.#tally(JSON.parse(data).channels);
    if (event.startsWith('sidestream.')) {
      expect(event).toMatch(/^sidestream\.(open|cursor)$/);
      return true;
    }
    this.seen.push(data);
    return false;
  }

  #tally(channels: readonly Opened[]): void {
    for (const { resume } of channels) this.verdicts.set(resume, (this.verdicts.get(resume) ?? 0) + 1);
  }
}

/** A server with both streams, a bridge, and who publishes numbered events. */
async function setUp(random: Random) {
  const nats = await startNats({ jetStream: true });
  const { connection } = await startPublisher(nats);
  const jsm = await jetstreamManager(connection);
  await jsm.streams.add({ name: 'ORDERS', subjects: ['orders.>'] });
  await jsm.streams.add({ name: 'AUDIT', subjects: ['audit.>'] });
  const js = jetstream(connection);
  const bridge = await startBridge({ nats, config: { channels: CHANNELS } });
  const published = new Map<string, string[]>();
  const publish = async (count: number) => {
    for (let i = 0; i < count; i += 1) {
      const subject = random.pick([...SUBJECTS, ...OTHERS]);
      const all = published.get(subject) ?? [];
      published.set(subject, all);
      const data = `${subject}/${all.length}`;
      if (subject.startsWith('news')) connection.publish(subject, data);
      else await js.publish(subject, data);
      all.push(data);
    }
    await connection.flush();
  };
  return { bridge, published, publish };
}

const bySubject = (data: readonly string[], subject: string) =>
  data.filter((text) => text.startsWith(`${subject}/`));

test.each([
  ['one stream', ['orders-1', 'orders-2'], ['orders.1', 'orders.2']],
  ['core routes', ['news-1', 'news-2'], ['news.1', 'news.2']],
  ['two streams and core routes', ['orders-1', 'orders-2', 'audit-1', 'news-1', 'news-2'], [...SUBJECTS]],
])(
  'a client of %s that changes between SSE, NDJSON and polls misses nothing and gets nothing twice',
  async (name, channels, subjects) => {
    const random = new Random(name);
    const { bridge, published, publish } = await setUp(random.fork('publisher'));
    const count = () => subjects.reduce((sum, subject) => sum + (published.get(subject)?.length ?? 0), 0);
    const client = new Wanderer(bridge, channels, random.fork('client'));
    await client.hop(0, async () => undefined);
    for (let hop = 0; hop < HOPS; hop += 1) {
      await publish(random.below(4));
      const wanted = random.below(Math.min(6, count() - client.seen.length + 1));
      await client.hop(wanted, () => publish(random.below(8)));
    }
    await client.hop(count() - client.seen.length, async () => undefined);
    for (const subject of subjects) expect(bySubject(client.seen, subject)).toEqual(published.get(subject));
    expect(client.seen).toHaveLength(count());
    expect([...client.verdicts.keys()].sort()).toEqual(['live', 'recovered']);
    for (const way of ['sse', 'ndjson', 'poll']) expect(client.ways.get(way), way).toBeGreaterThan(15);
    expect(client.seen.length).toBeGreaterThan(100);
  },
  60_000,
);
