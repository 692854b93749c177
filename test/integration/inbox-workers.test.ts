import { expect, it } from 'vitest';
import { startNats } from '../support/nats-server.ts';
import { startPublisher } from '../support/publisher.ts';
import { type RunningWorkers, startWorkers } from '../workers/running.ts';
import { countTo, Inboxed, ROUTES } from './inboxed.ts';
import { AUTH, bearer, signed } from './protected.ts';

const TOKEN = 'operators-token-for-tests-0123456789';

/** A stream of user 42 at each of two workers. */
async function badgesOf(workers: RunningWorkers, headers: Readonly<Record<string, string>>) {
  const clients = new Map<number, Awaited<ReturnType<RunningWorkers['stream']>>[0]>();
  while (clients.size < 2) {
    const [client, worker] = await workers.stream('/events/user-42', headers);
    if (clients.has(worker)) client.destroy();
    else clients.set(worker, client);
  }
  return [...clients.values()];
}

it('workers count alike, whichever is asked or told what was read', async () => {
  const nats = await startNats({ jetStream: true });
  const inboxed = new Inboxed(nats, await startPublisher(nats));
  await inboxed.makeStream();
  const config = { auth: AUTH, ops: { token: TOKEN }, channels: ROUTES };
  const workers = await startWorkers(nats, config);
  const { headers } = bearer(await signed());
  const badges = await badgesOf(workers, headers);
  const all = (count: number) => Promise.all(badges.map((badge) => countTo(badge, count)));
  await inboxed.notify('a');
  await inboxed.notify('b');
  const [{ through = '' } = {}] = await all(2);
  const url = `http://127.0.0.1:${workers.httpPort}/events/user-42/inbox`;
  const body = JSON.stringify({ read: { through: through.replace(/\d+$/, '1') } });
  const post = { method: 'POST', headers: { ...headers, 'Content-Type': 'application/json' }, body };
  expect(await (await fetch(url, post)).json()).toMatchObject({ unread: 1 });
  await all(1);
  const operator = { headers: { Authorization: `Bearer ${TOKEN}` } };
  const answer = await fetch(`${workers.opsUrl}/api/unread?user=42`, operator);
  expect(await answer.json()).toMatchObject({ unread: 1 });
});
