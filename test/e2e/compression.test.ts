import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { zstd } from '../../src/protocol/zstd.ts';
import {
  type CompressedStream,
  ONE_CHANNEL,
  startCompressedBy,
  TWO_LOGS,
} from '../support/compressed-stream.ts';
import { DATA } from '../support/decoding-programs.ts';
import { noNginx, startNginx } from '../support/nginx.ts';
import { type ServedBridge, startServed } from '../support/served.ts';
import { launchChromium, noChromium } from './chromium.ts';
import { openPage, type WatchingPage } from './page.ts';

if (zstd === undefined) console.warn(`Not tried with zstd: Node ${process.version} does not have it.`);
const CODINGS = zstd === undefined ? (['gzip'] as const) : (['gzip', 'zstd'] as const);

/** Each event must be in the page before the next one is sent, as another client has it that takes nothing compressed. */
async function followEvents(
  page: WatchingPage,
  stream: CompressedStream<ServedBridge>,
  coding: 'gzip' | 'zstd',
) {
  await page.event('sidestream.open');
  expect(await stream.compressed(coding)).toBe(1);
  for (const [i, data] of DATA.entries()) {
    const { id } = await stream.publish(data);
    expect(await page.event('price', i + 1)).toEqual({ type: 'price', data, id });
  }
}

describe.skipIf(noChromium !== undefined).each(CODINGS)('a native EventSource in Chromium, %s', (coding) => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser.close());

  async function setUp(path: string) {
    const page = await openPage(browser);
    const stream = await startCompressedBy(startServed, {
      compression: [coding],
      path,
      origins: [page.origin],
    });
    const watch = (port = stream.port) =>
      page.watch(`http://127.0.0.1:${port}${path}`, ['price', 'sidestream.open', 'sidestream.close']);
    return { page, stream, watch };
  }

  it.each([ONE_CHANNEL, TWO_LOGS])(
    'gets each event of %s as it is sent, and takes the end for one in good order',
    async (path) => {
      const { page, stream, watch } = await setUp(path);
      await watch();
      await followEvents(page, stream, coding);
      await stream.end();
      // It comes back, and is told in plain text that this instance goes.
      await page.event('sidestream.close', 2);
      const reasons = (await page.seen('sidestream.close')).map(({ data }) => JSON.parse(data).reason);
      expect(reasons.slice(0, 2)).toEqual(['draining', 'overloaded']);
      expect(await page.seen('price')).toHaveLength(DATA.length);
    },
  );

  it.each([ONE_CHANNEL, TWO_LOGS])(
    'comes back where the stream of %s was cut off, and has every event once',
    async (path) => {
      const { page, stream, watch } = await setUp(path);
      await watch();
      await followEvents(page, stream, coding);
      stream.cut();
      for (const data of DATA) await stream.publish(`missed ${data}`);
      await page.event('sidestream.open', 2);
      await page.event('price', 2 * DATA.length);
      await stream.publish('after');
      await page.event('price', 2 * DATA.length + 1);
      const seen = (await page.seen('price')).map(({ data }) => data);
      expect(seen.slice(0, DATA.length)).toEqual(DATA);
      expect(seen.slice(DATA.length, -1).sort()).toEqual(DATA.map((data) => `missed ${data}`).sort());
      expect(seen.at(-1)).toBe('after');
    },
  );

  const unasked = 'proxy_buffering off; proxy_ignore_headers X-Accel-Buffering;';
  it
    .skipIf(noNginx !== undefined)
    .each([
      'gzip off;',
      `gzip off; ${unasked}`,
      'gzip on; gzip_types text/event-stream;',
      `gzip on; gzip_types text/event-stream; ${unasked}`,
    ])('gets each event as it is sent through nginx: %s', async (directives) => {
    const { page, stream, watch } = await setUp(TWO_LOGS);
    await watch(await startNginx(stream.port, directives));
    await followEvents(page, stream, coding);
  });
});
