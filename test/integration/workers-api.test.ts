import { expect, test } from 'vitest';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { type RunningWorkers, startWorkers } from '../workers/running.ts';

const TOKEN = 'the-token-of-the-operators';
const HEADERS = { Authorization: `Bearer ${TOKEN}` };
const CONFIG = { ops: { token: TOKEN } };

async function call(workers: RunningWorkers, path: string, body?: object) {
  const init = body === undefined ? {} : { method: 'POST', body: Buffer.from(JSON.stringify(body)) };
  const response = await fetch(`${workers.opsUrl}/api/${path}`, { headers: HEADERS, ...init });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

/** Both workers know each other. */
async function startCalled(): Promise<RunningWorkers> {
  const workers = await startWorkers(await startNats(), CONFIG);
  await poll('both to know each other', async () => {
    const { body } = await call(workers, 'instances');
    return Array.isArray(body.list) && body.list.length === 2;
  });
  return workers;
}

test('the ops port hands calls to a worker, which answers for all', async () => {
  const workers = await startCalled();
  const [[stream, first], [other]] = [
    await workers.stream('/events/topic.a'),
    await workers.stream('/events/topic.a'),
  ];
  expect(first).toBeGreaterThan(0);
  const { status, body } = await call(workers, 'connections?channel=topic.a');
  expect([status, (body.list as unknown[]).length]).toEqual([200, 2]);
  expect(await call(workers, 'publish', { channel: 'topic.a', data: 'to both' })).toMatchObject({
    status: 200,
  });
  for (const client of [stream, other]) expect((await client.next('message')).data).toBe('to both');
  expect(await call(workers, 'connection?connection=nobody')).toMatchObject({ status: 404 });
  expect(await call(workers, 'publish', { channel: 'topic.a', data: '', nonsense: 1 })).toMatchObject({
    status: 400,
  });
});

test('a worker that hangs or is gone does not keep calls from the other', async () => {
  const workers = await startCalled();
  const pid = workers.pidOf(1);
  process.kill(pid, 'SIGSTOP');
  try {
    const { status, body } = await call(workers, 'stats');
    expect([status, body.error]).toEqual([200, undefined]);
    process.kill(workers.pidOf(2), 'SIGSTOP');
    expect(await call(workers, 'stats')).toMatchObject({
      status: 503,
      body: { error: { code: 'CONTROL_UNAVAILABLE' } },
    });
  } finally {
    for (const stopped of [pid, workers.pidOf(2)]) process.kill(stopped, 'SIGCONT');
  }
});

test('the token is the primary process’s alone: what refuses a call is counted there, and nothing is logged of it', async () => {
  const workers = await startCalled();
  const response = await fetch(`${workers.opsUrl}/api/stats`, { headers: { Authorization: 'Bearer no' } });
  expect(response.status).toBe(401);
  expect(await workers.sample('sidestream_api_refusals_total{code="CONTROL_UNAUTHORIZED"}')).toBe(1);
  expect(workers.cli.stdout).toContain('calls without the token of ops.token are refused');
  expect(workers.cli.stdout).not.toContain(TOKEN);
});

test('what is closed by HTTP stays closed after this process, though workers take no calls over NATS', async () => {
  const config = { ...CONFIG, control: { api: false } };
  const workers = await startWorkers(await startNats({ jetStream: true }), config);
  const kept = 'channels that are made or closed at run time are kept in NATS, in a key-value bucket';
  await poll('the bucket', () => workers.cli.logs.filter(({ message }) => message === kept).length === 2);
  const { body } = await call(workers, 'close', { channel: 'topic.a' });
  expect(body.persisted).toBe(true);
});
