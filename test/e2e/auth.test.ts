import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AUTH, now, signed } from '../integration/protected.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { startServed } from '../support/served.ts';
import { launchChromium, noChromium } from './chromium.ts';
import { openPage, type WatchingPage } from './page.ts';

const CHANNELS = {
  mine: { channel: 'user-{id}', subject: 'user.{id}', access: { where: { id: '{claims.sub}' } } },
};
const TYPES = ['message', 'sidestream.open', 'sidestream.close'];
const CREDENTIALS = { credentials: true };
const REFUSED_EXPIRED = 'sidestream_requests_refused_total{reason="TOKEN_EXPIRED"}';

/** A bridge whose streams pages of one origin may read, with their cookies. */
async function setUp(origin: string) {
  const nats = await startNats();
  const bridge = await startServed({
    nats,
    config: {
      channels: CHANNELS,
      auth: AUTH,
      http: { cors: { origins: [origin], credentials: true } },
      // Short enough for a test to see a reconnection, long enough to be one.
      sse: { retry: '200ms..300ms' },
    },
  });
  return { nats, bridge, url: `http://127.0.0.1:${bridge.httpPort}/events/user-42` };
}

/** How many events of a type the page was given. */
const count = async (page: WatchingPage, type: string) => (await page.seen(type)).length;

describe.skipIf(noChromium !== undefined)('a native EventSource with an HttpOnly cookie', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser.close());

  it('gets the events of a protected channel of another origin, once the page has logged in', async () => {
    const page = await openPage(browser, () => signed());
    const { nats, url } = await setUp(page.origin);
    await page.logIn();
    expect(await page.value('document.cookie')).toBe('');
    await page.watch(url, TYPES, CREDENTIALS);
    await page.event('sidestream.open');
    await nats.subscribed('user.42');
    await (await startPublisher(nats)).publish('user.42', 'for you');
    expect(await page.event('message')).toMatchObject({ data: 'for you' });
    expect(await page.value('[opens, errors].join()')).toBe('1,0');
  });

  it.each([
    ['was not set', { isSet: false, credentials: true, sub: '42' }],
    ['is not sent', { isSet: true, credentials: false, sub: '42' }],
    ['is another user’s', { isSet: true, credentials: true, sub: '43' }],
  ])('which %s ends for good, at the first error', async (_, { isSet, credentials, sub }) => {
    const page = await openPage(browser, () => signed({ sub }));
    const { bridge, url } = await setUp(page.origin);
    if (isSet) await page.logIn();
    await page.watch(url, TYPES, { credentials });
    await page.until('source.readyState === 2');
    expect(await page.value('[opens, errors].join()')).toBe('0,1');
    expect(await page.seen()).toEqual([]);
    expect(await bridge.sample('sidestream_connections_opened_total')).toBe(0);
  });

  it('is told when its token has expired, comes back once, is refused and stops', async () => {
    const page = await openPage(browser, () => signed({ exp: now() + 3 }));
    const { bridge, url } = await setUp(page.origin);
    await page.logIn();
    await page.watch(url, TYPES, CREDENTIALS);
    expect(JSON.parse((await page.event('sidestream.close')).data)).toMatchObject({ reason: 'expired' });
    await page.until('source.readyState === 2');
    expect([await count(page, 'sidestream.open'), await count(page, 'sidestream.close')]).toEqual([1, 1]);
    expect(await bridge.sample(REFUSED_EXPIRED)).toBe(1);
  });

  it('may be opened anew with a new token, after the old one expired', async () => {
    let exp = 0;
    const page = await openPage(browser, () => signed({ exp }));
    const { url } = await setUp(page.origin);
    exp = now() + 3;
    await page.logIn();
    await page.watch(url, TYPES, CREDENTIALS);
    await page.event('sidestream.close');
    await page.until('source.readyState === 2');
    exp = now() + 600;
    await page.logIn();
    await page.watch(url, TYPES, CREDENTIALS);
    await page.event('sidestream.open', 2);
    expect(await page.value('source.readyState')).toBe(1);
  });

  it('shows nothing to a page of an origin that is not listed, though the browser sends it the cookie', async () => {
    const page = await openPage(browser, () => signed());
    const { bridge, url } = await setUp('https://app.example.com');
    await page.logIn();
    await page.watch(url, TYPES, CREDENTIALS);
    await page.until('source.readyState === 2');
    expect(await page.value('[opens, errors].join()')).toBe('0,1');
    expect(await page.seen()).toEqual([]);
    // It was the user's own stream that the page could not read; and the browser let go of it.
    expect(await bridge.sample('sidestream_connections_opened_total')).toBe(1);
    await poll('the stream to be gone', async () => (await bridge.sample('sidestream_connections')) === 0);
  });
});
