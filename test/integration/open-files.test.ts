import { expect, test } from 'vitest';
import { fileConfig } from '../support/bridge.ts';
import { serve } from '../support/cli.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { request, type StreamClient } from '../support/stream-client.ts';

test('a process that may open few files says so, refuses the streams that do not fit, and answers probes', async () => {
  const nats = await startNats();
  const { cli, httpPort, opsUrl } = await serve(fileConfig({}, nats), { openFiles: 400 });
  await cli.logged('connected to NATS');
  expect(cli.logs.find(({ level, limit }) => level === 'warn' && limit === 10_000)).toMatchObject({
    fitting: 336,
  });
  const held: StreamClient[] = [];
  for (let i = 0; i < 336; i += 1) {
    const client = await request({ port: httpPort, target: '/events/topic.a' });
    await client.next('sidestream.open');
    held.push(client);
  }
  const refused = await request({ port: httpPort, target: '/events/topic.a' });
  expect(JSON.parse((await refused.next('sidestream.close')).data)).toMatchObject({
    code: 'CONNECTION_LIMIT',
  });
  expect((await fetch(`${opsUrl}/livez`)).status).toBe(200);
  held.pop()?.destroy();
  await poll('a seat', async () => {
    const again = await request({
      port: httpPort,
      target: '/events/topic.a',
      headers: { Authorization: 'x' },
    });
    again.destroy();
    return again.status === 200;
  });
});
