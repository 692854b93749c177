import { describe, expect, test } from 'vitest';
import { secretToken } from '../auth/tokens.ts';
import { command } from '../control/running.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import type { StreamClient } from '../support/stream-client.ts';
import { isAlive, startWorkers } from '../workers/running.ts';
import { AUTH, bearer, SECRET, signed } from './protected.ts';
import { asStatus, TICKET_AUTH, ticket } from './ticketed.ts';

const USER = { mine: { channel: 'user-{id}', subject: 'user.{id}', access: 'authenticated' } };
const WORKERS = 2;

describe('two workers on one port', () => {
  test('both serve: an event reaches the streams of each, and the metrics are of both', async () => {
    const nats = await startNats();
    const workers = await startWorkers(nats);
    const streams = await workers.spread('/events/topic.a');
    await nats.subscribed('topics.a', WORKERS);
    await (await startPublisher(nats)).publish('topics.a', 'for all');
    for (const stream of streams.keys()) expect((await stream.next('message')).data).toBe('for all');

    const metrics = await workers.metrics();
    const shown = {
      sidestream_workers: WORKERS,
      sidestream_connections: streams.size,
      sidestream_connections_opened_total: streams.size,
      'sidestream_deliveries_total{route="topic"}': streams.size,
      'sidestream_publications_total{route="topic"}': WORKERS,
      sidestream_publish_to_flush_seconds_count: WORKERS,
      sidestream_draining: 0,
      sidestream_worker_deaths_total: 0,
      'sidestream_nats_connected{worker="1"}': 1,
      'sidestream_nats_connected{worker="2"}': 1,
    };
    expect(Object.fromEntries(Object.keys(shown).map((name) => [name, metrics.get(name)]))).toEqual(shown);
    for (const worker of ['1', '2', 'primary'])
      expect(metrics.get(`sidestream_process_resident_memory_bytes{worker="${worker}"}`)).toBeGreaterThan(0);
    for (const stream of streams.keys()) stream.destroy();
    await poll('all to have left', async () => (await workers.sample('sidestream_connections')) === 0);
  });

  test('a command over NATS is answered by each, and counted once', async () => {
    const nats = await startNats();
    const workers = await startWorkers(nats, { channels: USER, auth: AUTH });
    const publisher = await startPublisher(nats);
    await nats.subscribed('sidestream.control.disconnect', WORKERS);
    const answers = await command(publisher.connection, 'disconnect', { user: '42' }, WORKERS);
    expect(answers.map(({ ok }) => ok)).toEqual([true, true]);
    expect(new Set(answers.map(({ instance }) => instance)).size).toBe(WORKERS);
    expect(await workers.sample('sidestream_control_commands_total{result="disconnect"}')).toBe(1);
  });

  test('drain together, also where a terminal sends its signal to all, and the process ends with 0', async () => {
    const nats = await startNats();
    const workers = await startWorkers(nats);
    const streams = await workers.spread('/events/topic.a');
    // Ctrl-C, to the whole group; by the time that all are told, the workers have had theirs.
    for (const pid of workers.pids) process.kill(pid, 'SIGINT');
    workers.cli.signal('SIGINT');
    for (const stream of streams.keys()) {
      expect(JSON.parse((await stream.next('sidestream.close')).data).reason).toBe('draining');
      await stream.ended();
    }
    expect(await workers.cli.exited()).toBe(0);
    expect(workers.pids.filter(isAlive)).toEqual([]);
    expect(workers.cli.stderr).toBe('');
    expect(workers.count('draining')).toBe(WORKERS + 1);
    expect(workers.count('a worker died; it is replaced')).toBe(0);
  });

  test('end at once on a second signal', async () => {
    const nats = await startNats();
    const workers = await startWorkers(nats, { drain: { timeout: '1h', reconnectRate: '1/m' } });
    await workers.spread('/events/topic.a');
    workers.cli.signal('SIGTERM');
    await poll('both to drain', () => workers.count('draining') === WORKERS + 1);
    workers.cli.signal('SIGINT');
    expect(await workers.cli.exited()).toBe(1);
    await poll('the workers to be gone', () => !workers.pids.some(isAlive));
  });
});

describe('a limit holds for both together', () => {
  /** Asks many times at once; gives how many streams are open. */
  async function storm(
    ask: () => Promise<string>,
    times: number,
  ): Promise<{ open: number; codes: Set<string> }> {
    const answers = await Promise.all(Array.from({ length: times }, ask));
    const open = answers.filter((answer) => answer === 'open').length;
    return { open, codes: new Set(answers.filter((answer) => answer !== 'open')) };
  }

  test.each([
    ['connections', 100, 'CONNECTION_LIMIT'],
    ['connectionsPerIp', 20, 'CONNECTION_LIMIT_IP'],
    ['connectionsPerChannel', 9, 'CONNECTION_LIMIT_CHANNEL'],
    ['connectionsPerUser', 6, 'CONNECTION_LIMIT_USER'],
  ])('limits.%s', async (name, limit, code) => {
    const nats = await startNats();
    const workers = await startWorkers(nats, { channels: USER, auth: AUTH, limits: { [name]: limit } });
    const token = bearer(await signed({ sub: '42' }));
    const ask = () => workers.ask('/events/user-42', token);
    // What is left of the room is given out in the rounds that follow, and then no more.
    const first = await storm(ask, limit * 2);
    expect(first.open).toBeLessThanOrEqual(limit + WORKERS - 1);
    let { open } = first;
    await poll('the limit to be reached', async () => {
      open += (await storm(ask, 2)).open;
      return open >= limit;
    });
    const last = await storm(ask, limit);
    expect(open + last.open).toBeLessThanOrEqual(limit + WORKERS - 1);
    expect(await workers.sample('sidestream_connections')).toBe(open + last.open);
    expect([...last.codes]).toEqual([code]);
  });

  test('a stream that ends on one worker makes room on the other', async () => {
    const nats = await startNats();
    const limits = { connections: 2, connectionsPerIp: 2, connectionsPerChannel: 2 };
    const workers = await startWorkers(nats, { limits });
    const held = new Map<number, StreamClient>();
    await poll('a stream on each', async () => {
      const [client, worker] = (await workers.tryStream('/events/topic.a')) ?? [];
      if (client === undefined || worker === undefined) return false;
      held.get(worker)?.destroy();
      held.set(worker, client);
      return held.size === WORKERS;
    });
    held.get(1)?.destroy();
    await poll('room on worker 2', async () => {
      const [client, worker] = (await workers.tryStream('/events/topic.a')) ?? [];
      if (worker !== 2) client?.destroy();
      return worker === 2;
    });
  });

  test('auth.failureRate: bad tokens brought to one count on the other', async () => {
    const nats = await startNats();
    const workers = await startWorkers(nats, { channels: USER, auth: { ...AUTH, failureRate: '1/m' } });
    let tried = 0;
    let inARow = 0;
    await poll('all of them to be held back', async () => {
      const token = await secretToken(SECRET, 'HS256', {
        claims: { exp: 1, jti: `${tried}`, iss: 'nobody' },
      });
      const code = await workers.ask('/events/user-42', bearer(`${token}x`));
      if (code === 'AUTH_RATE') inARow += 1;
      else [tried, inARow] = [tried + 1, 0];
      return inARow === 20;
    });
    // Each of them alone would take 20.
    expect(tried).toBeGreaterThanOrEqual(20);
    expect(tried).toBeLessThan(40);
  });

  test('a ticket opens one stream, on whichever worker, also without JetStream', async () => {
    const nats = await startNats();
    const channels = { mine: { ...USER.mine, access: { where: { id: '{claims.sub}' } } } };
    const workers = await startWorkers(nats, { channels, auth: TICKET_AUTH });
    const token = bearer(await signed({ sub: '42' }));
    await poll('both to let streams in', async () => {
      const answers = await Promise.all(
        Array.from({ length: 12 }, () => workers.ask('/events/user-42', token)),
      );
      return answers.every((answer) => answer === 'open');
    });
    for (let round = 0; round < 3; round += 1) {
      const target = asStatus(await ticket({ sub: '42' }));
      const answers = await Promise.all(Array.from({ length: 8 }, () => workers.ask(target)));
      expect(answers.sort()).toEqual([...Array(7).fill('TOKEN_USED'), 'open']);
      expect(await workers.ask(target)).toBe('TOKEN_USED');
    }
  });
});
