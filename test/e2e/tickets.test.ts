import { readFileSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { command } from '../control/running.ts';
import { TICKET_AUTH, ticket } from '../integration/ticketed.ts';
import { startNats } from '../support/nats-server.ts';
import { startPublisher } from '../support/publisher.ts';
import { startServed } from '../support/served.ts';
import { launchChromium, noChromium } from './chromium.ts';
import { openPage } from './page.ts';

const DOCS = readFileSync(new URL('../../docs/security.md', import.meta.url), 'utf8');
/** What the page on security tells pages to do. */
const [, CODE = ''] = /^```js\n\/\/ your page\n([\s\S]*?)^```$/m.exec(DOCS) ?? [];
const CHANNELS = {
  mine: { channel: 'user-{id}', subject: 'user.{id}', access: { where: { id: '{claims.sub}' } } },
};
const URL_IN_DOCS = 'https://events.example.com/events/user-42';

describe.skipIf(noChromium !== undefined)('a page that does as the documentation says', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser.close());

  it('fetches a new ticket when its stream was ended, and goes on where the old one stopped', async () => {
    const issued: string[] = [];
    const page = await openPage(browser, async () => {
      issued.push(await ticket());
      return issued.at(-1) ?? '';
    });
    const nats = await startNats({ jetStream: true });
    const http = { cors: { origins: [page.origin] } };
    const bridge = await startServed({
      nats,
      config: { channels: CHANNELS, auth: TICKET_AUTH, http, sse: { retry: '200ms..300ms' } },
    });
    const publisher = await startPublisher(nats);
    const ours = `http://127.0.0.1:${bridge.httpPort}/events/user-42`;
    expect(CODE).toContain(URL_IN_DOCS);
    // Every EventSource is kept for the test to see.
    const watched = `const shown = window.shown = []; const sources = window.sources = []; window.refetched = 0;
      const show = (data) => { shown.push(data); };
      const refetch = () => { window.refetched += 1; };
      const Native = window.EventSource;
      class EventSource extends Native { constructor(url) { super(url); sources.push(this); } }
      ${CODE.replace(URL_IN_DOCS, ours)}`;
    await page.value(`{ ${watched} }`);
    await page.until('sources.length === 1 && sources[0].readyState === 1');
    await nats.subscribed('user.42');
    await publisher.publish('user.42', 'one');
    await page.until('shown.length === 1');
    // Its state, once: it is new here.
    expect(await page.value('refetched')).toBe(1);

    await command(publisher.connection, 'disconnect', { user: '42' });
    await page.until('sources.length === 2 && sources[1].readyState === 1');
    await publisher.publish('user.42', 'two');
    await page.until('shown.length === 2');
    expect(await page.value('shown.join()')).toBe('one,two');
    // Nothing was missed.
    expect(await page.value('refetched')).toBe(1);
    expect(await page.value('sources[0].readyState')).toBe(2);
    expect(issued).toHaveLength(2);
    expect(new Set(issued).size).toBe(2);
    expect(await page.value('new URL(sources[1].url).searchParams.get("lastEventId") !== null')).toBe(true);
    expect(await bridge.sample('sidestream_requests_refused_total{reason="TOKEN_USED"}')).toBe(1);
    expect(await bridge.sample('sidestream_connections_opened_total')).toBe(2);

    await nats.restart();
    await page.until('refetched === 2');
  });
});
