import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { describe, expect, onTestFinished, test } from 'vitest';
import { poll } from '../support/poll.ts';
import { launchChromium, noChromium } from './chromium.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PARTS = ['guard', 'nats-server', 'sidestream', 'backend'];
const CHANNELS = ['prices.ACME', 'prices.GLOBEX', 'chat-lobby', 'task-7', 'logs-web-1'];

function run(args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  // Not the developer's own server, and not as a script of the `npm test` that this may be.
  const { NATS_URL: _, npm_lifecycle_event: __, ...env } = process.env;
  const child = spawn(process.execPath, args, { cwd: ROOT, env: { ...env, ...environment } });
  onTestFinished(() => void child.kill('SIGKILL')); // the demo's own guard ends the rest
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  const ended = once(child, 'close').then(([code]: unknown[]) => code);
  return { child, output, ended };
}

/** A demo that has printed where it is. */
async function startDemo() {
  const demo = run(['deploy/dev/run.mjs', 'demo', '--verbose']);
  const page = await poll('the demo to say where it is', () => {
    if (demo.child.exitCode !== null) throw new Error(`it ended: ${demo.output.stderr}`);
    return /Open +(http:\S+)/.exec(demo.output.stdout)?.[1];
  });
  return { ...demo, page, parts: partsOf(demo.output.stderr) };
}

/** The demo's processes, by name, as `--verbose` tells. */
function partsOf(output: string): Record<string, number> {
  const lines = output.matchAll(/^(\S+) +│ started as process (\d+)$/gm);
  return Object.fromEntries([...lines].map(([, name, pid]) => [name, Number(pid)]));
}

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
    expect(output.stdout).toMatch(/event sidestream\.close .*draining/);
  });
});

describe('npm run demo', () => {
  test('Ctrl-C drains Sidestream, ends every process and exits 0', async () => {
    const { child, ended, output, parts } = await startDemo();
    expect(Object.keys(parts)).toEqual(PARTS);
    child.kill('SIGINT');
    expect(await ended, output.stderr).toBe(0);
    await untilGone(parts);
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

describe.skipIf(noChromium)('the demo page in Chromium', () => {
  async function openPage(): Promise<Page> {
    const demo = await startDemo();
    const browser = await launchChromium();
    onTestFinished(() => browser.close());
    const page = await browser.newPage();
    page.on('pageerror', (error) => expect.unreachable(`the page threw ${error.message}`));
    await page.goto(demo.page);
    return page;
  }

  test('shows prices, a chat, progress and a log over one connection', async () => {
    const page = await openPage();
    await page.locator('#status', { hasText: /^open$/ }).waitFor();
    expect(await page.locator('#connection').textContent()).not.toBe('–');
    for (const symbol of ['ACME', 'GLOBEX', 'INITECH', 'UMBRELLA']) {
      await page.locator('#prices tr', { hasText: new RegExp(`${symbol}[▲▼] \\d+\\.\\d\\d`) }).waitFor();
    }
    await page.locator('#progress:not([value="0"])').waitFor();
    await page.locator('#logs', { hasText: /TypeError.*\n +at price/ }).waitFor();
    await page.locator('#chat', { hasText: 'Robin' }).waitFor();
    expect(await page.locator('#reconnects').textContent()).toBe('0');
  });

  test('shows what is typed into the chat, as text and never as markup', async () => {
    const page = await openPage();
    await page.locator('#status', { hasText: /^open$/ }).waitFor();
    await page.getByLabel('Message').fill('<i>hello</i> & goodbye');
    await page.getByRole('button', { name: 'Send' }).click();
    await page.locator('#chat', { hasText: '<i>hello</i> & goodbye' }).waitFor();
    expect(await page.locator('#chat i').count()).toBe(0);
  });
});
