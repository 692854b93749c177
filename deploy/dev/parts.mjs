// What the demo consists of, and where each part listens.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './command.mjs';
import { withLock } from './lock.mjs';
import { choosePort, isListening } from './ports.mjs';

const PREFERRED = { page: 8000, events: 8080, ops: 9090, nats: 4222 };

/** @typedef {{ page: string, events: string, ops: string, nats: string }} Urls */

async function choosePorts(anyPort) {
  const ports = {};
  for (const [name, preferred] of Object.entries(PREFERRED)) {
    ports[name] = await choosePort(anyPort ? undefined : preferred);
  }
  return ports;
}

/** `NATS_URL=localhost:4222` is what people write; the config wants the scheme. */
function givenNats(env) {
  if (!env.NATS_URL) return undefined;
  return env.NATS_URL.includes('://') ? env.NATS_URL : `nats://${env.NATS_URL}`;
}

async function answersOk(url) {
  const patience = AbortSignal.timeout(2000);
  // It refuses connections until it listens, and answers 503 until it accepts streams.
  return fetch(url, { signal: patience }).then(
    (response) => response.ok,
    () => false,
  );
}

/** Where nats-server keeps what JetStream stores: gone with us. */
function storage() {
  const folder = mkdtempSync(join(tmpdir(), 'sidestream-demo-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  return folder;
}

/** What the backend and Sidestream share, and nobody else: known to this run only. */
const secrets = () => ({
  TOKEN_SECRET: randomBytes(32).toString('hex'),
  OPS_TOKEN: randomBytes(32).toString('hex'),
});

const node = (file, args, env) => ({ program: process.execPath, args: [join(ROOT, file), ...args], env });

async function startAll(children, { natsServer, anyPort }) {
  const ports = await choosePorts(anyPort);
  const nats = givenNats(process.env) ?? `nats://127.0.0.1:${ports.nats}`;
  const urls = {
    nats,
    page: `http://127.0.0.1:${ports.page}/`,
    events: `http://127.0.0.1:${ports.events}/events`,
    ops: `http://127.0.0.1:${ports.ops}`,
  };
  if (natsServer !== undefined) {
    const args = [
      '--addr',
      '127.0.0.1',
      '--port',
      String(ports.nats),
      '--jetstream',
      '--store_dir',
      storage(),
    ];
    await children.start('nats-server', { program: natsServer, args }, () => isListening(ports.nats));
  }
  const env = { ...process.env, NATS_URL: nats, ...secrets() };
  const backend = node('deploy/demo/backend.mjs', [], {
    ...env,
    PORT: String(ports.page),
    EVENTS_URL: urls.events,
    OPS_URL: urls.ops,
  });
  // It makes the streams and the bucket, and listens when they are there.
  await children.start('backend', backend, () => isListening(ports.page));
  const sidestream = node('dist/main.js', ['serve', '--config', join(ROOT, 'deploy/demo/sidestream.yaml')], {
    ...env,
    SIDESTREAM_LISTEN: `127.0.0.1:${ports.events}`,
    SIDESTREAM_OPS_LISTEN: `127.0.0.1:${ports.ops}`,
    PAGE_PORT: String(ports.page),
  });
  await children.start('sidestream', sidestream, () => answersOk(`${urls.ops}/readyz`));
  return urls;
}

/**
 * Starts nats-server (unless NATS_URL names one), the backend and Sidestream, each when the one before is of use.
 * @param {import('./children.mjs').Children} children
 * @param {{ natsServer: string | undefined, anyPort: boolean }} options anyPort: not even the preferred ports
 * @returns {Promise<Urls>}
 */
export function startParts(children, options) {
  // Between choosing a port and listening on it another demo could choose the same.
  return withLock('start', () => startAll(children, options));
}
