import { existsSync } from 'node:fs';
import { connect } from '@nats-io/transport-node';
import type { Page } from 'playwright-core';
import { describe, expect, onTestFinished, test } from 'vitest';
import { poll } from '../support/poll.ts';
import { launchChromium, noChromium } from './chromium.ts';
import { ROOT, run, startDemo } from './demo-run.ts';

const PARTS = ['guard', 'nats-server', 'backend', 'sidestream'];
const CHANNELS = [
  'prices.ACME',
  'prices.GLOBEX',
  'calm-prices',
  'chat-lobby',
  'task-7',
  'logs-web-1',
  'orders',
  'settings-shop',
];

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false; // ESRCH
  }
}

const untilGone = (parts: Record<string, number>) =>
  poll('every process to end', () => !Object.values(parts).some(isAlive));

describe('npm run demo -- --once', () => {
  test('sees events of every channel and a drain, prints them and exits 0', async () => {
    const { ended, output } = run(['deploy/dev/run.mjs', 'demo', '--once']);
    expect(await ended, output.stderr).toBe(0);
    for (const channel of CHANNELS) expect(output.stdout).toMatch(new RegExp(`^${channel} +event `, 'm'));
    expect(output.stdout).toMatch(/event sidestream\.open .*connection/);
    for (const [name, told] of [
      ['join', 'Bob'],
      ['leave', 'bob'],
      ['unread', 'unread\\W+[2-9]'],
      ['unread', 'unread\\W+0'],
      ['subscribed', 'chat-attic'],
      ['close', 'disconnected'],
      ['close', 'draining'],
    ] as const)
      expect(output.stdout).toMatch(new RegExp(`event sidestream\\.${name} .*${told}`));
  });
});

describe('npm run demo', () => {
  test('Ctrl-C drains Sidestream, ends every process, removes what was stored and exits 0', async () => {
    const { child, ended, output, parts, storage } = await startDemo();
    expect(Object.keys(parts)).toEqual(PARTS);
    expect(existsSync(storage)).toBe(true);
    child.kill('SIGINT');
    expect(await ended, output.stderr).toBe(0);
    await untilGone(parts);
    expect(existsSync(storage)).toBe(false);
  });

  test('no process outlives a demo that is killed', async () => {
    const { child, parts } = await startDemo();
    expect(Object.keys(parts)).toEqual(PARTS);
    child.kill('SIGKILL');
    await untilGone(parts);
  });

  test('a part that ends on its own is named, and ends the rest with exit 1', async () => {
    const { ended, output, parts } = await startDemo();
    process.kill(Number(parts.backend), 'SIGKILL');
    expect(await ended).toBe(1);
    expect(output.stderr).toContain('backend ended (SIGKILL)');
    await untilGone(parts);
  });

  test('an unknown option is refused with exit 2', async () => {
    const { ended, output } = run(['deploy/dev/run.mjs', 'demo', '--onec']);
    expect(await ended).toBe(2);
    expect(output.stderr).toContain('--onec');
  });
});

describe('the set-up', () => {
  const ensure = (env: object) => [
    '--input-type=module',
    '--eval',
    `const { ensureNatsServer } = await import('${ROOT}deploy/dev/nats-server.mjs');
     await ensureNatsServer({ env: ${JSON.stringify(env)}, places: [] });`,
  ];

  test('says what to install where there is no nats-server and none may be installed', async () => {
    const { ended, output } = run(ensure({ PATH: '', SIDESTREAM_NO_INSTALL: '1' }));
    expect(await ended).toBe(1);
    for (const way of [
      'apt-get install',
      'brew install',
      'go install',
      'https://nats.io/download',
      'NATS_URL=',
    ]) {
      expect(output.stderr).toContain(way);
    }
  });

  test('does not replace a nats-server that NATS_SERVER_BIN names wrongly', async () => {
    const { ended, output } = run(
      ensure({ PATH: process.env.PATH, NATS_SERVER_BIN: '/no/such/nats-server' }),
    );
    expect(await ended).toBe(1);
    expect(output.stderr).toContain('NATS_SERVER_BIN=/no/such/nats-server is not an executable file');
  });
});

/** What is published from now on reaches the page. */
const subscribed = (page: Page) => page.locator('#connection', { hasNotText: '–' }).waitFor();

/** The numbers of the orders that a page shows, which forgets the oldest beyond 200. */
async function orderNumbers(page: Page): Promise<number[]> {
  const shown = await page.locator('#orders p').allTextContents();
  return shown.map((text) => Number.parseInt(text, 10));
}

describe.skipIf(noChromium)('the demo page in Chromium', () => {
  async function openPage(): Promise<Page> {
    return (await openDemo()).page;
  }

  async function openDemo() {
    const demo = await startDemo();
    const browser = await launchChromium();
    onTestFinished(() => browser.close());
    const page = await browser.newPage();
    page.on('pageerror', (error) => expect.unreachable(`the page threw ${error.message}`));
    await page.goto(demo.page);
    return { ...demo, page };
  }

  test('shows prices, a chat, progress and a log over one connection', async () => {
    const page = await openPage();
    await subscribed(page);
    expect(await page.locator('#status').textContent()).toBe('open');
    for (const symbol of ['ACME', 'GLOBEX', 'INITECH', 'UMBRELLA']) {
      await page.locator('#prices tr', { hasText: new RegExp(`${symbol}[▲▼] \\d+\\.\\d\\d`) }).waitFor();
    }
    await page.locator('#calm-events', { hasNotText: /^0$/ }).waitFor();
    await page.locator('#progress:not([value="0"])').waitFor();
    await page.locator('#logs', { hasText: /TypeError.*\n +at price/ }).waitFor();
    await page.locator('#chat', { hasText: 'Robin' }).waitFor();
    expect(await page.locator('#reconnects').textContent()).toBe('0');
  });

  test('shows what a throttled channel leaves out, beside all that is published', async () => {
    const { page, output } = await openDemo();
    await subscribed(page);
    const [, servers = ''] = /nats --server (\S+)/.exec(output.stdout) ?? [];
    const nats = await connect({ servers });
    onTestFinished(() => nats.close());
    for (let price = 1; price <= 500; price += 1) nats.publish('market.prices.ACME', `${price}.00`);
    const shown = async (id: string) => Number(await page.locator(id).textContent());
    await poll('the page to show all that was published', async () => (await shown('#price-events')) >= 500);
    await page
      .locator('#prices td:nth-child(3)', { hasText: /^\d+\.\d\d$/ })
      .first()
      .waitFor();
    // Of ACME at most one every two seconds, of all that came in a moment.
    expect(await shown('#calm-events')).toBeLessThan(250);
  });

  test('shows what is typed into the chat, as text and never as markup', async () => {
    const page = await openPage();
    await subscribed(page);
    await page.getByLabel('Message').fill('<i>hello</i> & goodbye');
    await page.getByRole('button', { name: 'Send' }).click();
    await page.locator('#chat', { hasText: '<i>hello</i> & goodbye' }).waitFor();
    expect(await page.locator('#chat i').count()).toBe(0);
  });

  test('fills in the orders that it missed while its connection was dropped, without a hole', async () => {
    const page = await openPage();
    await page.locator('#verdict', { hasText: /^live/ }).waitFor();
    await page.locator('#orders p').first().waitFor();
    await page.getByRole('button', { name: 'Drop the connection' }).click();
    await page.locator('#line', { hasText: /^reconnecting$/ }).waitFor();
    await page.locator('#verdict', { hasText: /^recovered/ }).waitFor();
    // One that came live, behind all that were replayed.
    await page.locator('#orders .late + p:not(.late)').waitFor();
    const [, replayed] =
      /^recovered, (\d+) replayed$/.exec((await page.locator('#verdict').textContent()) ?? '') ?? [];
    expect(Number(replayed)).toBeGreaterThan(0);
    expect(await page.locator('#orders .late').count()).toBe(Number(replayed));
    const numbers = await orderNumbers(page);
    expect(numbers).toEqual(numbers.map((_, index) => Number(numbers[0]) + index));
    expect(await page.locator('#count').textContent()).toBe('0 missing, 0 twice');
  });

  test('counts an order whose number was skipped as missing, and one that comes again as twice', async () => {
    const { page, output } = await openDemo();
    await page.locator('#orders p').first().waitFor();
    const [, servers = ''] = /nats --server (\S+)/.exec(output.stdout) ?? [];
    const nats = await connect({ servers });
    onTestFinished(() => nats.close());
    nats.publish('shop.orders', JSON.stringify({ number: 1_000_000, what: 'a hole', where: 'the numbers' }));
    await page.locator('#count', { hasText: /^9\d{5} missing, [1-9]\d* twice$/ }).waitFor();
  });

  test('shows the settings there are, each change, and no setting that was deleted', async () => {
    const page = await openPage();
    const settings = page.locator('#settings tr');
    await settings.nth(2).waitFor();
    expect(await settings.count()).toBe(3);
    const set = async (name: string, value: string) => {
      await page.getByLabel('Setting', { exact: true }).selectOption(name);
      await page.getByLabel('Value', { exact: true }).fill(value);
      await page.getByRole('button', { name: 'Set' }).click();
    };
    await set('discount', '<b>10</b> %');
    await settings.filter({ hasText: '<b>10</b> %' }).waitFor();
    await set('banner', '');
    await settings.filter({ hasText: 'shop.banner' }).waitFor({ state: 'detached' });
    await page.reload();
    await settings.filter({ hasText: '<b>10</b> %' }).waitFor();
    expect(await settings.count()).toBe(2);
  });
});
