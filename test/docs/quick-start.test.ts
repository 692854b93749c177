import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { launchChromium, noChromium } from '../e2e/chromium.ts';
import { ensureBuild } from '../support/build.ts';
import { temporaryFolder } from '../support/folder.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { accepts, freePort } from '../support/ports.ts';
import { blocks, prints, Terminal, transcript } from './transcript.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = readFileSync(join(ROOT, 'docs/quick-start.md'), 'utf8');
const STEPS = transcript(PAGE);

/** What `npm test` itself has begun with, the folder, and the server, which is started by other means on a port of its own. */
const DONE = ['npm ci', 'npm run build', 'mkdir quick-start && cd quick-start', /^nats-server -js\b/];
/** A terminal of its own each, since they do not end. */
const SERVE = /^node \.\.\/dist\/main\.js --config/;
const SITE = /^python3 -m http\.server/;
const LASTING = [SERVE, /^curl -sN http/, SITE];
const PUBLISH = /^node \.\.\/deploy\/publishers/;
/** Of a busy machine: some forty commands, each waited for. */
const PATIENCE_MS = 120_000;
const isOneOf = (command: string, kinds: readonly (string | RegExp)[]) =>
  kinds.some((kind) => (typeof kind === 'string' ? kind === command : kind.test(command)));

/** A machine on which the page's ports are free: other ones stand in their place. */
class Machine {
  readonly #checkout = temporaryFolder();
  readonly #folder = join(this.#checkout, 'quick-start');
  readonly #ports: Readonly<Record<string, number>>;
  readonly #nats: NatsServer;

  constructor(ports: Readonly<Record<string, number>>, nats: NatsServer) {
    this.#ports = ports;
    this.#nats = nats;
    for (const name of ['dist', 'node_modules', 'deploy', 'package.json'])
      symlinkSync(join(ROOT, name), join(this.#checkout, name));
    mkdirSync(this.#folder);
    const [config = ''] = blocks(PAGE, 'yaml');
    const more = { ops: { listen: '127.0.0.1:0' }, nats: { servers: [nats.url] } };
    const here = this.adapt(config).replace('http:\n', `http:\n  listen: 127.0.0.1:${ports[8080]}\n`);
    const sections = Object.entries(more).map(([name, section]) => `${name}: ${JSON.stringify(section)}\n`);
    writeFileSync(join(this.#folder, 'config.yaml'), here + sections.join(''));
    const [html = ''] = blocks(PAGE, 'html');
    writeFileSync(join(this.#folder, 'page.html'), this.adapt(html));
  }

  adapt(text: string): string {
    return Object.entries(this.#ports).reduce(
      (adapted, [shown, port]) =>
        adapted
          .replaceAll(`localhost:${shown}`, `localhost:${port}`)
          .replaceAll(`http.server ${shown}`, `http.server ${port}`),
      text,
    );
  }

  terminal(): Terminal {
    return new Terminal(this.#folder, { NATS_URL: this.#nats.url });
  }
}

async function startMachine(): Promise<{ machine: Machine; site: number; streams: number }> {
  await ensureBuild();
  const site = await freePort();
  const streams = await freePort();
  const nats = await startNats({ jetStream: true });
  return { machine: new Machine({ 8000: site, 8080: streams }, nats), site, streams };
}

it(
  'every command of the quick start prints what the page says',
  async () => {
    const { machine } = await startMachine();
    const main = machine.terminal();
    const lasting: { terminal: Terminal; output: readonly string[] }[] = [];
    for (const { command, output } of STEPS) {
      if (isOneOf(command, DONE)) continue;
      if (isOneOf(command, LASTING)) {
        const terminal = machine.terminal();
        terminal.start(machine.adapt(command));
        lasting.push({ terminal, output });
        // A reader does not go on before they see it run: the page says what it logs then.
        if (command.startsWith('node')) await poll('the start', () => followed(terminal));
        if (command.startsWith('curl')) await terminal.printed(output.slice(0, 4));
        continue;
      }
      const text = await main.run(machine.adapt(command));
      expect(prints(text, output), `${command}\nprinted:\n${text}`).toBe(true);
    }
    for (const { terminal, output } of lasting) await terminal.printed(output);
  },
  PATIENCE_MS,
);

const followed = (bridge: Terminal | undefined) => bridge?.text.includes('stream is followed') ?? false;

const noPython =
  spawnSync('python3', ['--version']).status === 0 ? undefined : 'there is no python3 to serve it with';
const whyNoPage = noChromium ?? noPython;
if (whyNoPage !== undefined) console.warn(`The page of the quick start was not tried: ${whyNoPage}.`);

/** Starts what the page needs: the bridge, the site, the stream. */
async function startForPage() {
  const { machine, site, streams } = await startMachine();
  const commands = STEPS.map(({ command }) => machine.adapt(command));
  const only = (kind: RegExp) => commands.filter((command) => kind.test(command));
  const main = machine.terminal();
  for (const command of only(/token-secret/).slice(0, 1)) await main.run(command);
  const [bridge] = [...only(SERVE), ...only(SITE)].map((command) => {
    const terminal = machine.terminal();
    terminal.start(command);
    return terminal;
  });
  await poll('both to listen', async () => (await accepts(streams)) && (await accepts(site)));
  for (const command of only(/make-stream\.mjs/)) await main.run(command);
  await poll('the stream', () => followed(bridge));
  return { url: `http://localhost:${site}/page.html`, publish: () => main.run(only(PUBLISH)[0] ?? 'false') };
}

it.skipIf(whyNoPage !== undefined)(
  'the page of the quick start shows what is published',
  async () => {
    const { url, publish } = await startForPage();
    await using browser = await launchChromium();
    const page = await browser.newPage();
    await page.goto(url);
    await page.waitForFunction('events.readyState === 1', undefined, { timeout: 10_000 });
    await poll('the price to be shown', async () => {
      await publish();
      return (await page.textContent('#price')) === '101.25' && (await page.textContent('#state')) === 'paid';
    });
  },
  PATIENCE_MS,
);
