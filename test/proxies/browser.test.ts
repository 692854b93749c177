import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { launchChromium, noChromium } from '../e2e/chromium.ts';
import { poll } from '../support/poll.ts';
import { startProcesses, startScene } from './bridges.ts';
import { missing } from './proxy.ts';
import { PROXIES } from './table.ts';

const STREAMS = 8;
/** Of Chromium, to one host over HTTP/1.1, in all its tabs. */
const HTTP1_LIMIT = 6;

/** An empty page of the origin that the streams are of. `open(urls)` opens native EventSources and counts what happens to each. */
const HTML = `<!doctype html><title>streams</title><script>
window.sources = [];
window.open = (urls) => urls.forEach((url) => {
  const source = new EventSource(url);
  const entry = { source, opens: 0, errors: 0, seen: [] };
  source.addEventListener('sidestream.open', () => { entry.opens += 1; });
  source.onerror = () => { entry.errors += 1; };
  for (const type of ['price', 'order']) source.addEventListener(type, ({ data }) => entry.seen.push(data));
  window.sources.push(entry);
});
</script>`;

async function openPage(browser: Browser, origin: string) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  onTestFinished(() => context.close());
  const page = await context.newPage();
  await page.route(`${origin}/page`, (route) => route.fulfill({ body: HTML, contentType: 'text/html' }));
  await page.goto(`${origin}/page`);
  return {
    open: (targets: readonly string[]) => page.evaluate(`open(${JSON.stringify(targets)})`),
    until: (expression: string) => page.waitForFunction(expression, undefined, { timeout: 20_000 }),
    value: (expression: string): Promise<unknown> => page.evaluate(expression),
  };
}

const targets = (count: number) => Array.from({ length: count }, (_, i) => `/events/prices.ACME?${i}`);
const opened = (count: number) => `sources.filter(({ opens }) => opens > 0).length >= ${count}`;

describe.skipIf(noChromium !== undefined)('a native EventSource in Chromium', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser.close());

  const usable = PROXIES.filter((kind) => missing(kind) === undefined);

  describe.each(usable)('behind $name', (kind) => {
    it(`has ${STREAMS} streams at a time over HTTP/2, and none waits for another`, async () => {
      const { proxy, publisher, bridges } = await startScene(kind);
      const page = await openPage(browser, `https://localhost:${proxy.tlsPort}`);
      await page.open(targets(STREAMS));
      await page.until(opened(STREAMS));
      expect(bridges.reduce((sum, { metrics }) => sum + metrics.connections, 0)).toBe(STREAMS);
      await publisher.publish('prices.ACME', 'for all');
      await page.until(`sources.every(({ seen }) => seen.includes('for all'))`);
      await page.value(`fetch('/events?errors=http').then((response) => response.text())`);
      const asked = `performance.getEntriesByType('resource').find(({ name }) => name.endsWith('errors=http'))`;
      await page.until(`${asked} !== undefined`);
      expect(await page.value(`${asked}.nextHopProtocol`)).toBe('h2');
    });
  });

  const [first] = usable;

  // Behind each of the others trouble.ts has it, with a client that does as the standard says.
  it.runIf(first?.refusesInBand)(
    'survives that no bridge is there at all',
    async () => {
      if (first === undefined) return;
      const { proxy, bridges, publisher } = await startProcesses(first, { also: first.hurried });
      const page = await openPage(browser, `https://localhost:${proxy.tlsPort}`);
      await page.open(['/events/orders.7']);
      await page.until(opened(1));
      await Promise.all(bridges.map((bridge) => bridge.stop()));
      await publisher.publish('orders.7', 'missed');
      // Once for the end of the stream, and once more for the answer that says "later".
      await page.until('sources[0].errors >= 2');
      expect(await page.value('sources[0].source.readyState')).toBe(0);
      await Promise.all(bridges.map((bridge) => bridge.start()));
      await page.until(`sources[0].seen.join() === 'missed'`);
    },
    60_000,
  );

  it.runIf(first)('waits with the seventh stream where it speaks HTTP/1.1 to the bridge itself', async () => {
    if (first === undefined) return;
    const { bridges } = await startScene(first);
    const [bridge] = bridges;
    const page = await openPage(browser, `http://127.0.0.1:${bridge?.httpPort}`);
    await page.open(targets(HTTP1_LIMIT + 1));
    await page.until(opened(HTTP1_LIMIT));
    expect(bridge?.metrics.connections).toBe(HTTP1_LIMIT);
    await page.value('sources.find(({ opens }) => opens > 0).source.close()');
    await page.until(opened(HTTP1_LIMIT + 1));
    await poll('the first to be gone', () => bridge?.metrics.connections === HTTP1_LIMIT);
    expect(bridge?.metrics.connectionsPeak).toBe(HTTP1_LIMIT);
  });
});
