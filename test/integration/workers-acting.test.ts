import { expect, test } from 'vitest';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import type { StreamClient } from '../support/stream-client.ts';
import { type RunningWorkers, startWorkers } from '../workers/running.ts';

const TOKEN = 'the-token-of-the-operators';
const LIMIT = 2;
const CONFIG = { ops: { token: TOKEN }, limits: { connectionsPerChannel: LIMIT } };
const FULL = 'topic.full';

/** Calls an operation on the port of the primary process; what it answers, or the code of its refusal. */
async function call(workers: RunningWorkers, operation: string, fields?: object) {
  const body = fields === undefined ? {} : { method: 'POST', body: JSON.stringify(fields) };
  const headers = { Authorization: `Bearer ${TOKEN}`, 'Content-Type': 'application/json' };
  const response = await fetch(`${workers.opsUrl}/api/${operation}`, { headers, ...body });
  const answer = (await response.json()) as Record<string, unknown> & { error?: { message: string } };
  return { ok: response.ok, answer, message: answer.error?.message ?? '' };
}

interface Held {
  readonly client: StreamClient;
  readonly connection: string;
}

/** Two streams on each worker, each on a channel of its own. */
async function startHeld(): Promise<{ workers: RunningWorkers; held: Held[] }> {
  const workers = await startWorkers(await startNats(), CONFIG);
  await poll('both to know each other', async () => {
    const { answer } = await call(workers, 'instances');
    return Array.isArray(answer.list) && answer.list.length === 2;
  });
  const held = new Map<number, Held[]>();
  let opened = 0;
  await poll('two streams on each worker', async () => {
    opened += 1;
    const [client, worker] = await workers.stream(`/events/topic.own-${opened}`);
    const { answer } = await call(workers, `connections?channel=topic.own-${opened}`);
    const [{ connection }] = answer.list as [{ connection: string }];
    const theirs = held.get(worker) ?? [];
    if (theirs.length === 2) client.destroy();
    else held.set(worker, [...theirs, { client, connection }]);
    return [...held.values()].filter(({ length }) => length === 2).length === 2;
  });
  const [[a, c], [b, d]] = [...held.values()] as [[Held, Held], [Held, Held]];
  return { workers, held: [a, b, c, d] };
}

/** Puts streams on the channel, one after the other; those that got a seat. */
async function seat(workers: RunningWorkers, held: readonly Held[]): Promise<Held[]> {
  const seated: Held[] = [];
  for (const each of held) {
    const { ok, message } = await call(workers, 'subscribe', {
      connection: each.connection,
      channels: [FULL],
    });
    if (ok) seated.push(each);
    else expect(message).toContain('CONNECTION_LIMIT_CHANNEL');
  }
  return seated;
}

test('streams of every worker are put on a channel while there are seats for both workers together, and taken off they give them back', async () => {
  const { workers, held } = await startHeld();
  for (let round = 0; round < 2; round += 1) {
    let seated: Held[] = [];
    // What was given back is given out again in the rounds that follow.
    await poll(`seats, round ${round}`, async () => {
      const left = held.filter((each) => !seated.includes(each));
      seated = [...seated, ...(await seat(workers, left))];
      return seated.length >= LIMIT;
    });
    await poll('a full channel on both', async () => {
      const asked = Array.from({ length: 6 }, () => workers.tryStream(`/events/${FULL}`));
      const opened = (await Promise.all(asked)).flatMap((stream) => stream ?? []);
      for (const each of opened) if (typeof each === 'object') each.destroy();
      return opened.length === 0;
    });
    expect(seated.length).toBeLessThanOrEqual(LIMIT + 1);
    for (const { client } of seated) await client.next('sidestream.subscribed');
    await call(workers, 'publish', { channel: FULL, data: `${round}` });
    for (const { client } of seated) expect((await client.next('message')).data).toBe(`${round}`);
    for (const { client, connection } of seated) {
      expect(await call(workers, 'unsubscribe', { connection, channels: [FULL] })).toMatchObject({
        ok: true,
      });
      await client.next('sidestream.unsubscribed');
    }
  }
});

test('streams of every worker are ended through the port of the primary process, and their seats are free', async () => {
  const { workers, held } = await startHeld();
  const seated = await seat(workers, held);
  const { answer } = await call(workers, 'disconnect', { channel: FULL, reconnect: false });
  expect(answer).toMatchObject({ closed: seated.length });
  for (const { client } of seated) {
    const close = await client.until(({ event }) => event === 'sidestream.close');
    expect(JSON.parse(close.at(-1)?.data ?? '')).toMatchObject({ reconnect: false });
    await client.ended();
  }
  const before = await workers.sample('sidestream_connections');
  expect(before).toBe(held.length - seated.length);
  await poll('all seats to be taken anew', async () => (await workers.ask(`/events/${FULL}`)) === 'open');
});
