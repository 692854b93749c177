import { Svcm } from '@nats-io/services';
import { type Msg, type NatsConnection, headers as natsHeaders } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { SPECS } from '../../src/control/operations/all.ts';
import { startBridge, type TestBridge, type TestBridgeOptions } from '../support/bridge.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';

interface Instances {
  readonly answered: readonly string[];
  readonly missing: readonly string[];
}

interface Answer {
  readonly list: readonly Readonly<Record<string, unknown>>[];
  readonly instances: Instances;
  readonly error?: { readonly code: string; readonly message: string };
}

const OPS_TOKEN = 'operators-token-for-tests-0123456789';

const service = (operation: string) => `sidestream.api.${operation}`;

/** Several bridges that know each other, all of which offer the service. */
async function startCluster(count: number, options: TestBridgeOptions = {}) {
  const nats = options.nats ?? (await startNats());
  const bridges: TestBridge[] = [];
  for (let i = 0; i < count; i += 1) bridges.push(await startBridge({ ...options, nats }));
  await known(bridges, count);
  await nats.subscribed(service('instances'), count);
  const { connection } = await startPublisher(nats);
  return { nats, bridges, connection };
}

async function known(bridges: readonly TestBridge[], count: number): Promise<void> {
  for (const bridge of bridges)
    await poll('all instances to be known', async () => {
      return (await bridge.sample('sidestream_cluster_instances')) === count;
    });
}

async function ask(connection: NatsConnection, operation: string, payload: unknown = {}): Promise<Answer> {
  return (await request(connection, operation, JSON.stringify(payload))).json();
}

function request(connection: NatsConnection, operation: string, payload: string): Promise<Msg> {
  return connection.request(service(operation), payload, { timeout: 5000 });
}

async function idsOf(connection: NatsConnection): Promise<string[]> {
  return (await ask(connection, 'instances')).list.map(({ instance }) => String(instance));
}

describe('several instances', () => {
  it('are all in the answer of one that has just come', async () => {
    const { nats } = await startCluster(2);
    const bridge = await startBridge({ nats });
    expect(await bridge.call('instances')).toMatchObject({ answer: { list: [{}, {}, {}] } });
  });

  it('answer as one, whichever is asked', async () => {
    const { connection, bridges } = await startCluster(3);
    for (let i = 0; i < 6; i += 1) {
      const { list, instances } = await ask(connection, 'instances');
      expect(list.map(({ instance }) => instance)).toEqual(instances.answered);
      expect([list.length, instances.missing]).toEqual([3, []]);
      expect(list[0]).toMatchObject({
        version: '0.0.0-test',
        draining: false,
        accepting: true,
        connections: 0,
      });
    }
    const answered = await Promise.all(bridges.map(async (bridge) => callsOf(bridge, 'instances', 'ok')));
    expect(answered.reduce((sum, n) => sum + n, 0)).toBe(6);
  });

  it('are told apart by their prefix', async () => {
    const nats = await startNats();
    await startBridge({ nats, config: { control: { prefix: 'acme.live' } } });
    const { connection } = await startCluster(1, { nats });
    await nats.subscribed('acme.live.api.instances');
    expect(await idsOf(connection)).toHaveLength(1);
    const other: Answer = (await connection.request('acme.live.api.instances')).json();
    expect(other.list).toHaveLength(1);
  });

  it('name the one that stopped as neither there nor missing', async () => {
    const { connection, bridges } = await startCluster(3);
    await bridges[2]?.stop();
    await known(bridges.slice(0, 2), 2);
    expect((await ask(connection, 'instances')).instances).toMatchObject({ missing: [] });
    expect(await idsOf(connection)).toHaveLength(2);
  });

  it('name the one that does not answer as missing, within the deadline', async () => {
    const { connection } = await startCluster(2, { config: { control: { deadline: '300ms' } } });
    // One that beats and is deaf: between a heartbeat and the next it may be dead.
    const mute = { instance: 'mute', host: 'h', version: '1', startedMs: 1 };
    const beat = () => connection.publish('sidestream.peer.here', JSON.stringify(mute));
    beat();
    const { instances } = await poll('it to be missed', async () => {
      beat();
      const answer = await ask(connection, 'instances');
      return answer.instances.missing.length > 0 && answer;
    });
    expect([instances.answered.length, instances.missing]).toEqual([2, ['mute']]);
  });

  it('do not wait for one that goes while it is asked', async () => {
    const { connection, bridges } = await startCluster(2, { config: { control: { deadline: '1m' } } });
    const mute = { instance: 'mute', host: 'h', version: '1', startedMs: 1 };
    connection.publish('sidestream.peer.here', JSON.stringify(mute));
    await known(bridges, 3);
    const asked = connection.subscribe('sidestream.control.instances', { max: 1 });
    const answer = ask(connection, 'instances');
    for await (const _ of asked) connection.publish('sidestream.peer.gone', JSON.stringify(mute));
    expect((await answer).instances).toMatchObject({ missing: ['mute'] });
  });

  it('find each other again after NATS was away, and go on answering', async () => {
    const { nats, connection, bridges } = await startCluster(2);
    await nats.kill();
    for (const bridge of bridges) await poll('the loss', () => !bridge.metrics.natsConnected);
    await nats.start();
    await nats.subscribed(service('instances'), 2);
    for (const bridge of bridges) await bridge.connected();
    await poll('both to answer', async () => (await idsOf(connection).catch(() => [])).length === 2);
    expect(await ask(connection, 'instances')).toMatchObject({ instances: { missing: [] } });
  });
});

describe('an instance without NATS', () => {
  it('stops all the same, with calls under way', async () => {
    const { nats, connection, bridges } = await startCluster(1);
    expect(await idsOf(connection)).toHaveLength(1);
    await nats.kill();
    const [bridge] = bridges;
    await poll('the loss', () => bridge?.metrics.natsConnected === false);
    await bridge?.stop();
    await bridge?.logged('stopped');
  });
});

describe('a drain', () => {
  it('ends the streams of one instance, which stays and says so; once more does no harm', async () => {
    const { connection, bridges } = await startCluster(2, { config: { drain: { timeout: '1s' } } });
    const [one, two] = bridges;
    if (one === undefined || two === undefined) throw new Error('there are two');
    const streams = [await one.stream('/events/topic.a'), await two.stream('/events/topic.a')];
    const { list } = await ask(connection, 'instances');
    expect(list.map(({ connections }) => connections)).toEqual([1, 1]);
    const instance = String(list[0]?.instance);
    expect(await ask(connection, 'drain', { instance })).toMatchObject({ instance, connections: 1 });
    const drained = await poll('the drain', () => bridges.find(({ metrics }) => metrics.draining));
    const client = streams[bridges.indexOf(drained)];
    expect(JSON.parse((await client?.next('sidestream.close'))?.data ?? '')).toMatchObject({
      reason: 'draining',
    });
    await poll('its streams to end', () => drained.metrics.connections === 0);
    expect((await fetch(`${drained.opsUrl}/readyz`)).status).toBe(503);
    expect(await ask(connection, 'drain', { instance })).toMatchObject({ instance, connections: 0 });
    const after = await ask(connection, 'instances');
    expect(after.list.map(({ draining, accepting }) => [draining, accepting])).toEqual([
      [true, false],
      [false, true],
    ]);
  });

  it('of an instance that nobody knows is refused', async () => {
    const { connection } = await startCluster(2);
    expect((await ask(connection, 'drain', { instance: 'nobody' })).error?.code).toBe('INSTANCE_NOT_FOUND');
  });
});

describe('a call', () => {
  it('that is not understood is refused with a code and a status, and names no value', async () => {
    const { connection } = await startCluster(1);
    const refused = async (payload: string) => {
      const answer = await request(connection, 'drain', payload);
      const { error }: Answer = answer.json();
      return [error?.code, answer.headers?.get('Nats-Service-Error-Code'), error?.message];
    };
    for (const payload of ['{', '[]', '"hunter2"', '{"instance":"hunter2"'])
      expect(await refused(payload)).toEqual([
        'CONTROL_MALFORMED',
        '400',
        expect.not.stringContaining('hunter2'),
      ]);
    for (const payload of ['', '{}', '{"instance":["hunter2"]}', '{"instance":""}'])
      expect(await refused(payload)).toEqual([
        'CONTROL_INVALID',
        '400',
        expect.not.stringContaining('hunter2'),
      ]);
    expect(await refused('{"instance":"x","instnace":"y"}')).toEqual([
      'CONTROL_INVALID',
      '400',
      'unknown field "instnace"; there are instance',
    ]);
    expect(await refused(JSON.stringify({ instance: 'x'.repeat(17_000) }))).toEqual([
      'CONTROL_TOO_LARGE',
      '413',
      expect.any(String),
    ]);
    await expect(request(connection, 'no-such-operation', '{}')).rejects.toThrow(/no responders/i);
  });

  it('that acts has its line in the log, whatever comes of it; one that reads has none', async () => {
    const { connection, bridges } = await startCluster(2);
    await ask(connection, 'instances');
    await request(connection, 'drain', '{');
    const headers = natsHeaders();
    headers.set('Sidestream-Caller', 'a\u001b[31m deploy');
    await connection.request(service('drain'), JSON.stringify({ instance: 'x\u0007' }), {
      headers,
      timeout: 5000,
    });
    const lines = bridges
      .flatMap(({ logs }) => logs)
      .filter(({ message }) => message === 'control')
      .map(({ level, time, message, durationMs, ...fields }) => ({ level, ...fields }));
    expect(lines.filter(({ level }) => level === 'info')).toEqual(
      expect.arrayContaining([
        { level: 'info', operation: 'drain', via: 'nats', outcome: 'CONTROL_MALFORMED' },
        {
          level: 'info',
          operation: 'drain',
          via: 'nats',
          caller: 'a\ufffd[31m deploy',
          target: { instance: 'x\ufffd' },
          outcome: 'INSTANCE_NOT_FOUND',
        },
      ]),
    );
    expect(lines.filter(({ level }) => level === 'info')).toHaveLength(2);
  });

  it('among too many is refused at once, and those that were taken are answered', async () => {
    const { connection, bridges } = await startCluster(1, { config: { control: { deadline: '500ms' } } });
    const mute = { instance: 'mute', host: 'h', version: '1', startedMs: 1 };
    connection.publish('sidestream.peer.here', JSON.stringify(mute));
    await known(bridges, 2);
    const answers = await Promise.all(Array.from({ length: 1500 }, () => ask(connection, 'instances')));
    const busy = answers.filter(({ error }) => error?.code === 'CONTROL_BUSY').length;
    expect(busy).toBe(1500 - 64 - 1000);
    expect(answers.filter(({ list }) => list?.length === 1)).toHaveLength(1064);
    const [bridge] = bridges;
    expect(await bridge?.sample('sidestream_control_calls_waiting')).toBe(0);
    expect(bridge?.logs.filter(({ message }) => message.startsWith('calls are refused'))).toHaveLength(1);
  });
});

describe('the service', () => {
  it('tells what it is, and what it offers, to the tools for that', async () => {
    const { connection } = await startCluster(2);
    const client = new Svcm(connection).client({ strategy: 'stall', maxWait: 1000 });
    const found: { name: string; version: string; endpoints: { subject: string; queue_group?: string }[] }[] =
      [];
    for await (const info of await client.info('sidestream')) found.push(info as (typeof found)[number]);
    expect(found.map(({ name, version }) => `${name} ${version}`)).toEqual(
      Array(2).fill('sidestream 0.0.0-test'),
    );
    const names = SPECS.map((spec) => service(spec.name));
    expect(found[0]?.endpoints.map(({ subject }) => subject).sort()).toEqual(names.sort());
    expect(found[0]?.endpoints).toContainEqual({
      name: 'instances',
      subject: service('instances'),
      queue_group: 'sidestream',
      metadata: { kind: 'read', summary: expect.any(String) },
    });
  });

  it('is not there where the config says so; the rest goes on', async () => {
    const nats = await startNats();
    const config = { control: { api: false }, ops: { token: OPS_TOKEN } };
    const bridge = await startBridge({ nats, config });
    await startCluster(1, { nats });
    await known([bridge], 2);
    expect(await nats.subscriptionsTo(service('instances'))).toBe(1);
    expect(await nats.subscriptionsTo('sidestream.control.instances')).toBe(2);
    const headers = { Authorization: `Bearer ${OPS_TOKEN}` };
    const answer = await fetch(`${bridge.opsUrl}/api/instances`, { headers });
    expect(await answer.json()).toMatchObject({ list: [{}, {}], instances: { missing: [] } });
  });

  it('may be refused by NATS: that is said once, and streams are served', async () => {
    const users = `authorization { users = [{ user: s, password: p, permissions: { subscribe: { deny: "sidestream.api.drain" } } }] }`;
    const nats: NatsServer = await startNats({ config: users });
    const bridge = await startBridge({ nats, config: { nats: { auth: { user: 's', password: 'p' } } } });
    const { error } = await bridge.logged(/^NATS refuses a subject of the service/);
    expect(error).toMatch(/sidestream\.api\.drain/);
    await bridge.stream('/events/topic.a');
    expect(bridge.logs.filter(({ message }) => /of the service/.test(message))).toHaveLength(1);
    expect(await nats.subscriptionsTo(service('instances'))).toBe(0);
  });
});

async function callsOf(bridge: TestBridge, operation: string, outcome: string): Promise<number> {
  const name = `sidestream_control_calls_total{operation="${operation}",outcome="${outcome}"}`;
  return (await bridge.sample(name)) ?? 0;
}
