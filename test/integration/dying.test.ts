import { describe, expect, it } from 'vitest';
import { type FileConfig, fileConfig, startBridge } from '../support/bridge.ts';
import { serve } from '../support/cli.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { request } from '../support/stream-client.ts';
import { acquainted, call } from './controlled.ts';
import { AUTH, bearer, signed } from './protected.ts';

const CONFIG: FileConfig = {
  auth: AUTH,
  control: { deadline: '30s' },
  channels: { chat: { channel: 'chat-{room}', subject: 'chat.{room}', access: 'public' } },
};

/** An instance here, and one in a process of its own with a stream of user `42` on each. `dies` has it killed as soon as it is asked. */
async function start() {
  const nats = await startNats();
  const bridge = await startBridge({ nats, config: CONFIG });
  const { cli, httpPort: port } = await serve(fileConfig(CONFIG, nats));
  await cli.logged('connected to NATS');
  await acquainted([bridge], 2);
  const options = bearer(await signed({ sub: '42' }));
  await bridge.stream('/events/chat-1', options);
  const stream = await request({ port, target: '/events/chat-1', ...options });
  const { connection } = JSON.parse((await stream.next('sidestream.open')).data) as { connection: string };
  const { instance } = await call(bridge, 'connection', { connection });
  const { connection: listener } = await startPublisher(nats);
  const dies = async (operation: string) => {
    // It cannot answer any more, and its connection stands.
    cli.signal('SIGSTOP');
    const asked = listener.subscribe(`sidestream.control.${operation}`, { max: 1 });
    await listener.flush();
    const kill = async () => {
      for await (const _ of asked) await cli.kill();
    };
    return { death: kill() };
  };
  return { bridge, connection, instance, dies };
}

describe('an instance that dies when it has been asked and before it answers', () => {
  it('is named as missing, and what it had is not in the answer', async () => {
    const { bridge, instance, dies } = await start();
    const { death } = await dies('connections');
    const { list, instances } = await call(bridge, 'connections');
    await death;
    expect(list).toHaveLength(1);
    expect(instances).toMatchObject({ answered: [expect.any(String)], missing: [instance] });
    await poll('it to be forgotten', async () => {
      const later = await call(bridge, 'connections');
      return (later.instances as { missing: string[] }).missing.length === 0;
    });
  });

  it('has not kept the others from what was to be done', async () => {
    const { bridge, instance, dies } = await start();
    const { death } = await dies('subscribe');
    const answer = await call(bridge, 'subscribe', { user: '42', channels: ['chat-2'] });
    await death;
    expect(answer).toMatchObject({
      streams: 1,
      channels: [{ channel: 'chat-2', done: 1, refused: [] }],
      instances: { missing: [instance] },
    });
    const line = await bridge.logged('control');
    expect(line).toMatchObject({ operation: 'subscribe', outcome: 'ok', result: { missing: [instance] } });
  });

  it('leaves nothing to be acted on, and the refusal says that somebody did not answer', async () => {
    const { bridge, connection, dies } = await start();
    const { death } = await dies('disconnect');
    expect(await bridge.call('disconnect', { connection })).toMatchObject({
      error: { code: 'CONNECTION_NOT_FOUND', message: expect.stringContaining('1 did not answer') },
    });
    await death;
    expect(await bridge.logged('control')).toMatchObject({
      operation: 'disconnect',
      target: { connection },
      outcome: 'CONNECTION_NOT_FOUND',
    });
  });
});
