import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { fileConfig } from '../support/bridge.ts';
import { serve } from '../support/cli.ts';
import { guard } from '../support/guard.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { request, type StreamClient } from '../support/stream-client.ts';

const SCRIPT = fileURLToPath(new URL('slow-crowd.pl', import.meta.url));
const hasPerl = spawnSync('perl', ['-MSocket', '-MIO::Select', '-e', '1']).status === 0;
const REQUEST = 'GET /events/topic.a HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n';

const KIB = 1024;
const MIB = 1024 * KIB;
/** Of each kind. */
const CROWD = 50;
const KINDS = 3;
const HEALTHY = 10;
const EVENT_BYTES = 16 * KIB;
const BATCH = 16;
/**
 * The allocators' slack, and the healthy readers' share. Were what is sent kept for the slow ones it would be some GiB.
 */
const SLACK_BYTES = 64 * MIB;
/** What uWebSockets.js holds of a chunk that did not fit into the socket. */
const CHUNK_BYTES = 64 * KIB;

async function crowd(port: number, bytesPerSecond: number): Promise<ChildProcess> {
  const args = [SCRIPT, `${port}`, `${CROWD}`, `${bytesPerSecond}`, REQUEST];
  const child = spawn('perl', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  guard(child);
  onTestFinished(() => void child.kill('SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`the crowd ended: ${code}`)));
  });
  return child;
}

/** The program, readers that keep up, and beside them: 50 that take a byte a second, 50 that take nothing, 50 whose machine stands still. */
async function scene(limits: Readonly<Record<string, unknown>>) {
  const nats = await startNats();
  const { cli, httpPort, opsUrl } = await serve(
    fileConfig({ limits, sse: { heartbeat: '0s' }, log: { level: 'info' } }, nats),
  );
  const metric = async (name: string) => {
    const response = await fetch(`${opsUrl}/metrics`, { headers: { Connection: 'close' } });
    const lines = (await response.text()).split('\n');
    return Number(lines.find((line) => line.startsWith(`sidestream_${name} `))?.split(' ')[1]);
  };
  await poll('the connection to NATS', async () => (await metric('nats_connected')) === 1);
  const descriptors = await metric('process_open_fds');
  const healthy: StreamClient[] = [];
  for (let n = 0; n < HEALTHY; n += 1) {
    const client = await request({ port: httpPort, target: '/events/topic.a' });
    await client.next('sidestream.open');
    healthy.push(client);
  }
  const crowds = [await crowd(httpPort, 1), await crowd(httpPort, 0), await crowd(httpPort, 1)];
  await poll('all streams', async () => (await metric('connections')) === HEALTHY + KINDS * CROWD);
  crowds.at(-1)?.kill('SIGSTOP');
  const residentBytes = await metric('process_resident_memory_bytes');
  return { nats, cli, publisher: await startPublisher(nats), metric, healthy, descriptors, residentBytes };
}
type Scene = Awaited<ReturnType<typeof scene>>;

/** Publishes events, numbered from `first` on; those who keep up must have each of them, in order. */
async function publishBatch({ publisher, healthy }: Scene, first: number): Promise<void> {
  const numbers = Array.from({ length: BATCH }, (_, n) => first + n);
  for (const n of numbers) publisher.send('topics.a', `${n} `.padEnd(EVENT_BYTES, 'x'));
  for (const client of healthy) {
    const received = await client.take(BATCH);
    expect(received.map(({ data }) => Number(data.split(' ')[0]))).toEqual(numbers);
  }
}

async function expectBounded({ metric, residentBytes }: Scene, pendingBytes: number): Promise<void> {
  expect(await metric('pending_bytes')).toBeLessThanOrEqual(KINDS * CROWD * pendingBytes);
  const gained = (await metric('process_resident_memory_bytes')) - residentBytes;
  expect(gained).toBeLessThan(KINDS * CROWD * (pendingBytes + CHUNK_BYTES) + SLACK_BYTES);
}

/** Nothing is left of those who were slow; and of the others, when they have gone. */
async function expectNothingLeft({ metric, healthy, descriptors }: Scene): Promise<void> {
  expect(await metric('connections')).toBe(HEALTHY);
  expect(await metric('slow_connections')).toBe(0);
  expect(await metric('pending_bytes')).toBe(0);
  for (const client of healthy) client.destroy();
  await poll('all to be forgotten', async () => (await metric('connections')) === 0);
  await poll('the descriptors', async () => (await metric('process_open_fds')) <= descriptors);
}

/** The counter has no line before it counts anything. */
const slowOnes = async ({ metric }: Scene) => (await metric('connections_closed_total{reason="slow"}')) || 0;

test.skipIf(!hasPerl)(
  'a hundred and fifty readers that hardly read, or not at all, are cut off by limits.pending; memory stays bounded, nobody else notices',
  async () => {
    const pendingBytes = 64 * KIB;
    const all = await scene({ pending: '64KiB', stalled: '1h' });
    for (let n = 0; (await slowOnes(all)) < KINDS * CROWD; n += BATCH) {
      await publishBatch(all, n);
      // A turn's events are joined for all; what does not fit in it may exceed the limit once.
      await expectBounded(all, pendingBytes + BATCH * EVENT_BYTES);
    }
    await expectNothingLeft(all);
  },
);

test.skipIf(!hasPerl)(
  'a hundred and fifty readers that stay behind for limits.stalled are cut off, however little waits for each',
  async () => {
    const all = await scene({ pending: '64MiB', stalled: '2s' });
    let count = 0;
    for (; (await all.metric('slow_connections')) + (await slowOnes(all)) < KINDS * CROWD; count += BATCH)
      await publishBatch(all, count);
    await expectBounded(all, count * EVENT_BYTES);
    await poll('all of them to be cut off', async () => (await slowOnes(all)) === KINDS * CROWD);
    await publishBatch(all, count);
    await expectNothingLeft(all);
  },
);
