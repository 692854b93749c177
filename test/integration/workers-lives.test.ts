import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { fileConfig } from '../support/bridge.ts';
import { type Cli, runCli, serve, startCli, writeConfig } from '../support/cli.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { request } from '../support/stream-client.ts';
import { startJetStream } from '../support/stream-source.ts';
import { Follower } from '../workers/follower.ts';
import { isAlive, startWorkers } from '../workers/running.ts';

const ORDERS = {
  orders: { channel: 'orders.{id}', subject: 'orders.{id}', stream: 'ORDERS', access: 'public' },
};
const CLIENTS = 8;

/** Two workers with a stream route, clients on both, and somebody who publishes until he is told to stop. */
async function underLoad() {
  const nats = await startNats({ jetStream: true });
  const jetStream = await startJetStream(nats);
  await jetStream.add();
  const workers = await startWorkers(nats, { channels: ORDERS });
  const followers = Array.from({ length: CLIENTS }, () => new Follower(workers, '/events/orders.a'));
  await Promise.all(followers.map((follower) => follower.start()));
  let published = 0;
  let isOver = false;
  const publishing = (async () => {
    const client = jetStream.manager.jetstream();
    for (; !isOver; published += 1) {
      await client.publish('orders.a', `${published}`);
      // The pace of the load; nothing is waited for.
      await sleep(2);
    }
  })();
  const finish = async () => {
    isOver = true;
    await publishing;
    const all = Array.from({ length: published }, (_, n) => `${n}`);
    for (const follower of followers) {
      await poll('the last event', () => follower.received.at(-1) === all.at(-1));
      await follower.stop();
      expect(follower.received).toEqual(all);
      expect(follower.verdicts.slice(1)).toEqual(follower.verdicts.slice(1).map(() => 'recovered'));
    }
    return all.at(-1);
  };
  const flowing = async () => {
    const from = published;
    await poll('more events', () => published > from + 20);
  };
  return { nats, workers, followers, finish, flowing };
}

test('a worker that is killed is replaced; its clients come back and miss nothing, the others notice nothing', async () => {
  const { workers, followers, finish, flowing } = await underLoad();
  const watching = await workers.spread('/events/orders.a');
  await flowing();
  const before = (await workers.sample('sidestream_connections_opened_total')) ?? 0;
  const pid = workers.pidOf(1);
  process.kill(pid, 'SIGKILL');
  const line = await workers.cli.logged('a worker died; it is replaced');
  expect(line).toMatchObject({ level: 'error', worker: 1, pid, how: 'SIGKILL' });
  await poll('another worker 1', () => workers.pidOf(1) !== pid);
  await flowing();
  const last = await finish();
  expect(followers.some(({ ends }) => ends.length > 0)).toBe(true);
  for (const [client, worker] of watching) {
    if (worker === 1) await client.cut();
    else {
      const numbers = (await client.until(({ data }) => data === last)).map(({ data }) => Number(data));
      expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index));
    }
  }
  expect(await workers.sample('sidestream_worker_deaths_total')).toBe(1);
  expect(await workers.sample('sidestream_workers')).toBe(2);
  // What the dead one had counted is still counted.
  expect(await workers.sample('sidestream_connections_opened_total')).toBeGreaterThanOrEqual(before);
});

test('a rolling restart under load moves every stream and loses no event; somebody is ready all the time', async () => {
  const { workers, followers, finish, flowing } = await underLoad();
  await flowing();
  const before = workers.pids;
  workers.cli.signal('SIGUSR2');
  const answers = new Set<number>();
  await poll('all workers to be restarted', async () => {
    answers.add((await fetch(`${workers.opsUrl}/readyz`)).status);
    return workers.count('all workers were restarted') === 1;
  });
  await flowing();
  await finish();
  expect([...answers]).toEqual([200]);
  expect(before.filter(isAlive)).toEqual([]);
  expect(workers.pids).toHaveLength(4);
  // Moved by being told, or reset in the moment in which a port was given up: never refused for want of NATS.
  for (const { ends } of followers) {
    expect(ends).toContain('draining');
    expect(ends).not.toContain('NATS_NOT_READY');
  }
  const metrics = await workers.metrics();
  expect(metrics.get('sidestream_worker_deaths_total')).toBe(0);
  expect(metrics.get('sidestream_connections_closed_total{reason="draining"}')).toBeGreaterThanOrEqual(
    CLIENTS,
  );
});

test('a rolling restart takes up the config as it is now, but for what all go by; a bad one changes nothing', async () => {
  const nats = await startNats();
  const file = writeConfig('');
  const write = (config: object) => writeFileSync(file, JSON.stringify(config));
  const config = fileConfig({ workers: 2, drain: { timeout: '1s' }, reload: { watch: '0s' } }, nats);
  write(config);
  const cli = await startCli(['--config', file]);
  const { http, ops } = await cli.logged('listening');
  write({ ...config, workers: 'many' });
  cli.signal('SIGUSR2');
  await cli.logged('the config is refused; the one from before stays in force');
  write({
    ...config,
    workers: 3,
    channels: { news: { channel: 'news', subject: 'news', access: 'public' } },
  });
  // While one that is told to end is being replaced, by one with the config from before.
  process.kill(Number(cli.logs.find(({ message }) => message === 'worker listening')?.pid), 'SIGTERM');
  await cli.logged('a worker was told to end; it is replaced');
  cli.signal('SIGUSR2');
  await cli.logged('all workers were restarted');
  // One for the problem, one for what comes of it.
  expect(cli.logs.filter(({ level }) => level === 'error')).toHaveLength(2);
  const { keys } = await cli.logged(
    'the config holds what only a restart takes on; the rest of it is in force',
  );
  expect(keys).toEqual(['workers']);
  const port = (address: unknown) => (address as { port: number }).port;
  // The kernel spreads them over both.
  const answers = await Promise.all(
    Array.from({ length: 12 }, () => request({ port: port(http), target: '/events/news' })),
  );
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  const text = await (await fetch(`http://127.0.0.1:${port(ops)}/metrics`)).text();
  expect(text).toContain('sidestream_publications_total{route="news"} 0');
  expect(text).toContain('sidestream_workers 2');
  expect(cli.logs.findLast(({ message }) => message === 'worker listening')?.http).toEqual(http);
});

test('a worker that somebody ends by its process id is replaced first, and drains', async () => {
  const nats = await startNats();
  const workers = await startWorkers(nats);
  const streams = await workers.spread('/events/topic.a');
  const pid = workers.pidOf(2);
  process.kill(pid, 'SIGTERM');
  await workers.cli.logged('a worker was told to end; it is replaced');
  // Somebody is impatient.
  process.kill(pid, 'SIGTERM');
  for (const [client, worker] of streams)
    if (worker === 2)
      expect(JSON.parse((await client.next('sidestream.close')).data).reason).toBe('draining');
  await poll('it to be gone', () => !isAlive(pid));
  expect(await workers.sample('sidestream_workers')).toBe(2);
  expect(await workers.sample('sidestream_worker_deaths_total')).toBe(0);
  expect(workers.count('a worker was told to end; it is replaced')).toBe(1);
  expect(workers.pids).toHaveLength(3);
});

test('a worker whose successors die as well is tried again, and there is never one too many', async () => {
  const nats = await startNats();
  const marker = writeConfig('here, a worker dies as it is started');
  const dies = `data:text/javascript,import{existsSync}from'node:fs';if(process.argv[2]==='worker'&&existsSync('${marker}'))process.exit(7)`;
  rmSync(marker);
  const cli = await startCli(['--config', writeConfig(fileConfig({ workers: 2 }, nats))], {
    env: { NODE_OPTIONS: `--import=${dies}` },
  });
  await cli.logged('listening');
  const listening = () => cli.logs.filter(({ message }) => message === 'worker listening');
  const deaths = () => cli.logs.filter(({ message }) => message === 'a worker died; it is replaced');
  writeFileSync(marker, '');
  process.kill(Number(listening()[0]?.pid), 'SIGKILL');
  await poll('three successors to die', () => deaths().length >= 4);
  rmSync(marker);
  await poll('one that lives', () => listening().length === 3);
  process.kill(Number(listening()[2]?.pid), 'SIGKILL');
  await poll('one that takes its place', () => listening().length === 4);
  cli.signal('SIGTERM');
  expect(await cli.exited()).toBe(0);
  expect(listening()).toHaveLength(4);
  // Each is told of once, and so replaced by one.
  const pids = deaths().map(({ pid }) => pid);
  expect(new Set(pids).size).toBe(pids.length);
});

test('workers whose primary process was killed give up the port at once, drain and end', async () => {
  const nats = await startNats();
  const workers = await startWorkers(nats, { drain: { timeout: '1h', reconnectRate: '60/m' } });
  const streams = await workers.spread('/events/topic.a');
  const { pids } = workers;
  workers.cli.signal('SIGKILL');
  await poll('both to notice', () => workers.count('the primary process is gone; draining') === 2);
  // Streams are still open for many seconds; another may have the port.
  const next = fileConfig({ workers: 2, http: { listen: `127.0.0.1:${workers.httpPort}` } }, nats);
  const cli = await startCli(['--config', writeConfig(next)]);
  await cli.logged('listening');
  expect(pids.filter(isAlive)).toEqual(pids);
  for (const client of streams.keys()) client.destroy();
  await poll('the workers to end', () => !pids.some(isAlive));
});

async function takePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Ends with this status, having said it once. */
async function expectEnd(cli: Cli, status: number, said: RegExp): Promise<void> {
  expect(await cli.exited()).toBe(status);
  expect(cli.stderr.match(new RegExp(said, 'g'))).toHaveLength(1);
  expect(cli.logs.filter(({ level }) => level === 'fatal')).toHaveLength(1);
  const pids = cli.logs.flatMap(({ pid }) => (typeof pid === 'number' ? [pid] : []));
  await poll('no process to be left', () => !pids.some(isAlive));
}

describe('a start that fails is told once, with the status that it has with one process', () => {
  test.each(['http', 'ops'] as const)('the port of %s.listen is taken', async (section) => {
    const listen = `127.0.0.1:${await takePort()}`;
    const cli = await startCli(['--config', writeConfig(fileConfig({ workers: 2, [section]: { listen } }))]);
    await expectEnd(
      cli,
      1,
      new RegExp(`^sidestream: LISTEN_FAILED: cannot listen on ${listen} \\(${section}\\.`, 'm'),
    );
  });

  test.each([
    [1, 2],
    [2, 1],
    [2, 2],
  ])('the port is that of another Sidestream with %i workers, and this has %i', async (first, second) => {
    const { httpPort } = await serve(fileConfig({ workers: first }));
    const listen = `127.0.0.1:${httpPort}`;
    const cli = await startCli(['--config', writeConfig(fileConfig({ workers: second, http: { listen } }))]);
    await expectEnd(cli, 1, /^sidestream: LISTEN_FAILED/m);
  });

  test('a certificate that is of no use', async () => {
    const files = { certFile: writeConfig('no certificate'), keyFile: writeConfig('no key') };
    const cli = await startCli(['--config', writeConfig(fileConfig({ workers: 2, http: { tls: files } }))]);
    await expectEnd(cli, 1, /^sidestream: LISTEN_FAILED: cannot serve TLS/m);
  });

  test('a key that is of no use', async () => {
    const auth = { jwt: { algorithms: ['RS256'], keys: [{ publicKeyFile: writeConfig('no key') }] } };
    const cli = await startCli(['--config', writeConfig(fileConfig({ workers: 2, auth }))]);
    await expectEnd(cli, 2, /^sidestream: CONFIG_INVALID/m);
  });

  test('a bad config', async () => {
    const { status, stderr } = await runCli(['--config', writeConfig({ ...fileConfig({}), workers: 0 })]);
    expect(status).toBe(2);
    expect(stderr).toContain('workers: expected a whole number from 1 to 256, or auto');
  });

  test('workers that die as soon as they are started', async () => {
    const dies = 'data:text/javascript,if(process.argv[2]===%22worker%22)process.exit(7)';
    const cli = await startCli(['--config', writeConfig(fileConfig({ workers: 2 }))], {
      env: { NODE_OPTIONS: `--import=${dies}` },
    });
    await expectEnd(
      cli,
      1,
      /^sidestream: WORKER_DIED: workers die as soon as they are started \(exit status 7\)/m,
    );
  });
});

test('`worker` is no command for people', async () => {
  const { status, stderr } = await runCli(['worker']);
  expect([status, stderr]).toEqual([2, 'sidestream: unknown command "worker"\nTry sidestream --help\n']);
});

test('with one worker there is one process, as there always was', async () => {
  const { cli, opsUrl } = await serve(fileConfig({ workers: 1 }));
  const text = await (await fetch(`${opsUrl}/metrics`)).text();
  expect(text).not.toContain('worker=');
  cli.signal('SIGUSR2');
  await cli.logged('SIGUSR2 restarts workers, one at a time; there is only one process');
  cli.signal('SIGTERM');
  expect(await cli.exited()).toBe(0);
});
