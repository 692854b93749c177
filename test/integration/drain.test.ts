import { describe, expect, test } from 'vitest';
import { fileConfig, startBridge } from '../support/bridge.ts';
import { type Cli, serve } from '../support/cli.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { request, type StreamClient } from '../support/stream-client.ts';

async function draining(target: string, opsUrl: string): Promise<number> {
  return poll(`${target} to fail`, async () => {
    const { status } = await fetch(`${opsUrl}${target}`);
    return status === 200 ? undefined : status;
  });
}

/** The program with some open streams. */
async function serving(config: object, count: number) {
  const nats = await startNats();
  const { cli, httpPort, opsUrl } = await serve(fileConfig(config, nats));
  await cli.logged('connected to NATS');
  const streams: StreamClient[] = [];
  for (let i = 0; i < count; i += 1) {
    const stream = await request({ port: httpPort, target: '/events/topic.a' });
    await stream.next('sidestream.open');
    streams.push(stream);
  }
  return { nats, cli, httpPort, opsUrl, streams };
}

/** Each stream's farewell, once it has ended in good order. */
async function farewells(streams: readonly StreamClient[]): Promise<{ reason: string; retry: number }[]> {
  const said = [];
  for (const stream of streams) {
    const { retry, data } = await stream.next('sidestream.close');
    await stream.ended();
    await stream.closed();
    const close = JSON.parse(data);
    expect(retry).toBe(close.retry);
    said.push(close);
  }
  return said;
}

async function expectCleanExit(cli: Cli): Promise<void> {
  expect(await cli.exited()).toBe(0);
  expect(cli.stderr).toBe('');
}

describe.each(['SIGTERM', 'SIGINT'] as const)('on %s', (signal) => {
  test('every stream is told when to come back and ends in good order, and the process exits with 0', async () => {
    const { cli, streams } = await serving({}, 5);
    cli.signal(signal);
    const said = await farewells(streams);
    expect(said.map(({ reason }) => reason)).toEqual(streams.map(() => 'draining'));
    await expectCleanExit(cli);
    const messages = cli.logs.filter(({ level }) => level === 'info').map(({ message }) => message);
    expect(messages.slice(-4)).toEqual(['signal received', 'draining', 'drained', 'stopped']);
  });
});

test('where the time-out is short, clients are told to come back as fast as the others can take them', async () => {
  const config = { sse: { retry: '1s' }, drain: { timeout: '1s', reconnectRate: '1/s' } };
  const { cli, streams } = await serving(config, 10);
  cli.signal('SIGTERM');
  const retries = (await farewells(streams)).map(({ retry }) => retry).sort((a, b) => a - b);
  await expectCleanExit(cli);
  // One a second: the first at once, the tenth after nine seconds, of which up to 0.8 were spent here.
  for (const [n, retry] of retries.entries()) {
    expect(retry).toBeGreaterThanOrEqual(1000 + n * 1000 - 800);
    expect(retry).toBeLessThanOrEqual(1000 + n * 1000);
  }
});

test('a process without streams exits at once', async () => {
  const { cli } = await serving({ drain: { timeout: '1h' } }, 0);
  cli.signal('SIGTERM');
  await expectCleanExit(cli);
});

test('while it drains the process is not ready, refuses streams both ways, and stays alive and measurable', async () => {
  const { cli, httpPort, opsUrl, streams } = await serving(
    { drain: { timeout: '1h', reconnectRate: '1/m' } },
    3,
  );
  cli.signal('SIGTERM');
  expect(await draining('/readyz', opsUrl)).toBe(503);
  expect(await (await fetch(`${opsUrl}/readyz`)).text()).toBe('draining\n');
  expect((await fetch(`${opsUrl}/livez`)).status).toBe(200);
  expect(await (await fetch(`${opsUrl}/metrics`)).text()).toContain('\nsidestream_draining 1\n');

  const native = await request({ port: httpPort, target: '/events/topic.a' });
  const { data } = await native.next('sidestream.close');
  expect(JSON.parse(data)).toMatchObject({ reason: 'overloaded', code: 'DRAINING' });
  await native.ended();
  const aware = await request({ port: httpPort, target: '/events/topic.a?errors=http' });
  expect(aware.status).toBe(503);
  expect(aware.header('retry-after')).toMatch(/^\d+$/);

  for (const stream of streams) stream.destroy();
  await expectCleanExit(cli);
});

test('events go on to a stream until its own end comes', async () => {
  const { nats, cli, streams, opsUrl } = await serving({ drain: { timeout: '1h', reconnectRate: '1/m' } }, 3);
  const publisher = await startPublisher(nats);
  cli.signal('SIGTERM');
  await draining('/readyz', opsUrl);
  await publisher.publish('topics.a', 'still here');
  const next = await Promise.all(streams.map((stream) => stream.next()));
  expect(next.map(({ event }) => event).sort()).toEqual(['message', 'message', 'sidestream.close']);
  for (const stream of streams) stream.destroy();
  await expectCleanExit(cli);
});

test('readers that are stuck do not hold up the end beyond drain.timeout', async () => {
  const limits = { pending: '64MiB', stalled: '1h' };
  const { nats, cli, streams, opsUrl } = await serving(
    { limits, drain: { timeout: '1s' }, sse: { heartbeat: '0s' } },
    2,
  );
  const [stuck, good] = streams;
  stuck?.pause();
  const publisher = await startPublisher(nats);
  for (let n = 0; n < 200; n += 1) publisher.send('topics.a', Buffer.alloc(64 * 1024, 'x'));
  await publisher.connection.flush();
  await poll('a slow reader', async () =>
    (await (await fetch(`${opsUrl}/metrics`)).text()).includes('\nsidestream_slow_connections 1\n'),
  );
  cli.signal('SIGTERM');
  await good?.until(({ event }) => event === 'sidestream.close');
  await good?.ended();
  await expectCleanExit(cli);
  stuck?.resume();
  await stuck?.cut();
});

test('a reader that is behind but reads gets everything and its farewell before the end', async () => {
  const nats = await startNats();
  const limits = { pending: '64MiB', stalled: '1h' };
  const bridge = await startBridge({ nats, config: { limits, drain: { timeout: '1h' } } });
  const publisher = await startPublisher(nats);
  const stream = await bridge.stream('/events/topic.a');
  await nats.subscribed('topics.a');
  stream.pause();
  const count = 200;
  for (let n = 0; n < count; n += 1) publisher.send('topics.a', `${n} `.padEnd(64 * 1024, 'x'));
  await publisher.connection.flush();
  await poll('the publications', () => bridge.metrics.route('topic').publications === count);
  expect(bridge.metrics.slowConnections).toBe(1);
  const drained = bridge.drain();
  stream.resume();
  const received = await stream.until(({ event }) => event === 'sidestream.close');
  expect(received.slice(0, -1).map(({ data }) => Number(data.split(' ')[0]))).toEqual(
    Array.from({ length: count }, (_, n) => n),
  );
  await stream.ended();
  await drained;
  expect(bridge.metrics.pendingBytes).toBe(0);
  expect(Object.fromEntries(bridge.metrics.connectionsClosed)).toEqual({ draining: 1 });
});

test.each(['SIGTERM', 'SIGINT'] as const)(
  'a second signal (%s) ends the process at once, and not with 0',
  async (second) => {
    const { cli, opsUrl } = await serving({ drain: { timeout: '1h', reconnectRate: '1/m' } }, 3);
    cli.signal('SIGTERM');
    await draining('/readyz', opsUrl);
    cli.signal(second);
    expect(await cli.exited()).toBe(1);
  },
);

test('a drain does not wait for NATS', async () => {
  const { nats, cli, streams } = await serving({ drain: { timeout: '2s' } }, 1);
  await nats.kill();
  await cli.logged('lost the connection to NATS; streams stay open');
  cli.signal('SIGTERM');
  await farewells(streams);
  await expectCleanExit(cli);
});
