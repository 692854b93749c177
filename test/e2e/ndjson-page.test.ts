import { readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { command } from '../control/running.ts';
import { AUTH, signed } from '../integration/protected.ts';
import { startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { startPublisher } from '../support/publisher.ts';
import { startJetStream } from '../support/stream-source.ts';
import { launchChromium, noChromium } from './chromium.ts';
import { openPage } from './page.ts';

const DOCS = readFileSync(new URL('../../docs/wire.md', import.meta.url), 'utf8');
/** What the page on the wire gives to those who send headers. */
const [, CODE = ''] = /^```js\n\/\/ your page[^\n]*\n([\s\S]*?)^```$/m.exec(DOCS) ?? [];
const CHANNELS = {
  mine: {
    channel: 'user-{id}',
    subject: 'orders.{id}',
    stream: 'ORDERS',
    access: { where: { id: '{claims.sub}' } },
  },
};

/** A network with faults, before a port of this machine. */
class Network {
  /** Set: the next answer that has this text ends in the middle of it. */
  cutWithin: string | undefined;
  lines = 0;
  readonly #target: number;
  readonly #muted = new WeakSet<Socket>();
  readonly #open = new Set<Socket>();
  readonly server = createServer((socket) => this.#pass(socket));

  constructor(target: number) {
    this.#target = target;
  }

  /** Nothing passes any more on the lines that there are, and nobody is told. */
  mute(): void {
    for (const socket of this.#open) this.#muted.add(socket);
  }

  close(): void {
    this.server.close();
    for (const socket of this.#open) socket.destroy();
  }

  #pass(socket: Socket): void {
    this.lines += 1;
    this.#open.add(socket);
    const upstream = connect(this.#target, '127.0.0.1');
    const end = () => {
      this.#open.delete(socket);
      socket.destroy();
      upstream.destroy();
    };
    for (const side of [socket, upstream]) side.on('error', end).on('close', end);
    socket.on('data', (data) => upstream.write(data));
    upstream.on('data', (data) => this.#answer(socket, data));
  }

  #answer(socket: Socket, data: Buffer): void {
    if (this.#muted.has(socket)) return;
    const at = this.cutWithin === undefined ? -1 : data.indexOf(this.cutWithin);
    if (at < 0) {
      socket.write(data);
      return;
    }
    this.cutWithin = undefined;
    this.#muted.add(socket);
    socket.end(data.subarray(0, at + 1));
  }
}

describe.skipIf(noChromium !== undefined)('a page that reads by fetch as the documentation does', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser.close());

  /** A page that reads the channel of user 42 over a network with faults. */
  async function setUp(user = '42') {
    const page = await openPage(browser, () => signed({ sub: user }));
    const nats = await startNats({ jetStream: true });
    const jetStream = await startJetStream(nats);
    await jetStream.add();
    const http = { cors: { origins: [page.origin] } };
    const sse = { retry: '100ms..200ms', heartbeat: '1s' };
    const bridge = await startBridge({ nats, config: { channels: CHANNELS, auth: AUTH, http, sse } });
    const network = new Network(bridge.httpPort);
    onTestFinished(() => network.close());
    await new Promise<void>((resolve) => {
      network.server.listen(0, '127.0.0.1', resolve);
    });
    const address = network.server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    expect(CODE).toContain('45_000');
    await page.value(`{
      ${CODE.replace('45_000', '2_500')}
      window.shown = []; window.verdicts = []; window.outcome = undefined;
      const onEvent = ({ event, data }) => {
        if (event === 'sidestream.open') verdicts.push(JSON.parse(data).channels[0].resume);
        if (event === 'message') shown.push(data);
      };
      const token = async () => (await fetch('/ticket')).text();
      listen('http://127.0.0.1:${port}/events/user-42', { token, onEvent, signal: new AbortController().signal })
        .then(() => { outcome = 'ended'; }, ({ message }) => { outcome = message; });
      // Of a promise the caller would wait for its end.
      undefined;
    }`);
    return { page, nats, jetStream, network };
  }

  it('is given each event once, though its line is cut in the middle of one', async () => {
    const { page, jetStream, network } = await setUp();
    await page.until('verdicts.length === 1');
    await jetStream.publish('orders.42', 'one');
    await page.until('shown.length === 1');
    network.cutWithin = 'two';
    await jetStream.publish('orders.42', 'two');
    await jetStream.publish('orders.42', 'three');
    await page.until("shown.includes('three')");
    expect(await page.value('shown.join()')).toBe('one,two,three');
    expect(network.cutWithin).toBeUndefined();
    const [first, ...later] = String(await page.value('verdicts.join()')).split(',');
    expect([first, new Set(later)]).toEqual(['live', new Set(['recovered'])]);
  });

  it('comes back over another line when its own goes silent', async () => {
    const { page, jetStream, network } = await setUp();
    await page.until('verdicts.length === 1');
    await jetStream.publish('orders.42', 'one');
    await page.until('shown.length === 1');
    network.mute();
    await jetStream.publish('orders.42', 'two');
    await page.until('shown.length === 2');
    expect(await page.value('shown.join()')).toBe('one,two');
    expect(network.lines).toBeGreaterThan(1);
  });

  it('stays away when its stream was ended for good', async () => {
    const { page, nats } = await setUp();
    await page.until('verdicts.length === 1');
    await command((await startPublisher(nats)).connection, 'disconnect', { user: '42', reconnect: false });
    await page.until('outcome !== undefined');
    expect(await page.value('outcome')).toBe('ended');
  });

  it('says why where trying again would not help', async () => {
    const { page } = await setUp('43');
    await page.until('outcome !== undefined');
    expect(await page.value('outcome')).toBe('CHANNEL_FORBIDDEN');
  });
});
