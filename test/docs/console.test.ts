import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { launchChromium, noChromium } from '../e2e/chromium.ts';
import { startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { freePort } from '../support/ports.ts';
import { prints } from './transcript.ts';

const PAGE = readFileSync(new URL('../../docs/troubleshooting.md', import.meta.url), 'utf8');
/** What the page quotes from a browser's console. */
const QUOTED = [
  ...PAGE.matchAll(/^\| `([^`]*(?:blocked by|EventSource's|Failed to load|net::)[^`]*)` \|/gm),
].map(([, text = '']) => text);

const CHANNELS = {
  open: { channel: 'open', subject: 'open', access: 'public' },
  own: { channel: 'own', subject: 'own', access: 'authenticated' },
};

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address() as AddressInfo;
  return `http://127.0.0.1:${address.port}`;
}

/** A site whose every path is an HTML page. */
const site = () =>
  listen(createServer((_, response) => response.setHeader('Content-Type', 'text/html').end('<p>a page</p>')));

/** A bridge whose streams pages of `origins` may read, and what a stream of it is. */
async function streams(origins: readonly string[] = []) {
  const http = { cors: { origins, credentials: false } };
  const auth = { jwt: { algorithms: ['HS256'], keys: [{ secret: 'of thirty-two characters at least' }] } };
  const bridge = await startBridge({ nats: await startNats(), config: { http, auth, channels: CHANNELS } });
  return { bridge, url: (channel: string) => `http://127.0.0.1:${bridge.httpPort}/events/${channel}` };
}

describe.skipIf(noChromium !== undefined)('the texts of the console in docs/troubleshooting.md', () => {
  let browser: Browser;
  const said = new Set<string>();
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser?.close());

  /** Opens a stream from a page of `origin`, and waits for a text that the page quotes. */
  async function complains(origin: string, url: string, about: string, { credentials = false } = {}) {
    const page = await browser.newPage();
    const texts: string[] = [];
    // The line in the console names the address behind the text, where it is not in it.
    page.on('console', (message) => texts.push(message.text()));
    await page.goto(origin);
    await page.evaluate(`void new EventSource(${JSON.stringify(url)}, { withCredentials: ${credentials} })`);
    const quoted = QUOTED.find((text) => text.includes(about)) ?? `nothing about ${about}`;
    const found = poll(quoted, () => texts.some((text) => prints(text, [quoted])));
    await found.catch((cause) => {
      throw new Error(`the console said: ${texts.join('\n')}\nand not: ${quoted}`, { cause });
    });
    said.add(quoted);
    return page;
  }

  it('an origin that is not listed', async () => {
    const { url } = await streams();
    await complains(await site(), url('open'), "No 'Access-Control-Allow-Origin'");
  });

  it('cookies, without cors.credentials', async () => {
    const origin = await site();
    const { url } = await streams([origin]);
    await complains(origin, url('open'), 'Allow-Credentials', { credentials: true });
  });

  it('a token that is missing', async () => {
    const origin = await site();
    const { url } = await streams([origin]);
    await complains(origin, url('own'), '401');
  });

  it('an answer that is a page', async () => {
    const origin = await site();
    await complains(origin, `${origin}/events/open`, 'MIME');
  });

  it('nobody there', async () => {
    const origin = await site();
    await complains(origin, `http://127.0.0.1:${await freePort()}/events/open`, 'REFUSED');
  });

  it('a stream that is cut off', async () => {
    const cutting = createServer((request, response) => {
      if (request.url === '/') response.setHeader('Content-Type', 'text/html').end();
      else {
        response.setHeader('Content-Type', 'text/event-stream').write(':\n\n');
        setImmediate(() => request.socket.destroy());
      }
    });
    const origin = await listen(cutting);
    await complains(origin, `${origin}/events`, 'INCOMPLETE');
  });

  it('and no other text is quoted', () => {
    expect([...said].sort()).toEqual([...QUOTED].sort());
  });
});
