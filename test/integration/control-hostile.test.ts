import type { JetStreamManager } from '@nats-io/jetstream';
import { describe, expect, it } from 'vitest';
import { type FileConfig, startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { acquainted, call, type Pair, refusal, startPair } from './controlled.ts';

const CONFIG: FileConfig = {
  channels: {
    news: { channel: 'news-{id}', subject: 'news.{id}', access: 'public', stream: 'NEWS' },
    rooms: { channel: 'room-{id}', subject: 'rooms.{id}', access: 'public' },
  },
};

/** Without what needs a stream. */
const ROOMS: FileConfig = {
  channels: { rooms: { channel: 'room-{id}', subject: 'rooms.{id}', access: 'public' } },
};

const makeStream = (jsm: JetStreamManager) => jsm.streams.add({ name: 'NEWS', subjects: ['news.*'] });
async function start(): Promise<Pair> {
  const pair = await startPair(CONFIG, makeStream);
  await poll('the service', () =>
    pair.publisher.connection.request('sidestream.api.stats', '').catch(() => undefined),
  );
  return pair;
}
/** As `JSON.stringify` cannot write it. */
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

/** Calls over NATS with a text as payload; the answer's own. */
async function ask({ publisher }: Pair, operation: string, text: string) {
  const answer = await publisher.connection.request(`sidestream.api.${operation}`, text, { timeout: 5000 });
  return answer.json<{ error?: { code: string; message: string } }>();
}

describe('a call whose answer is to go where no answers belong', () => {
  it.each(['sidestream.api.stats', 'sidestream.control.stats', '$SRV.PING', '$SRV.STATS'])(
    'of %s has nothing done in our name',
    async (subject) => {
      const pair = await start();
      const { publisher, jsm, first, second } = pair;
      const { connection } = publisher;
      await call(first, 'publish', { channel: 'news-1', data: 'kept' });
      const stream = await first.stream('/events/room-1');
      const revoked = connection.subscribe('sidestream.control.revoke', { max: 1 });
      for (const reply of ['$JS.API.STREAM.PURGE.NEWS', 'rooms.1', 'news.1', 'sidestream.control.revoke'])
        connection.publish(subject, '{}', { reply });
      // Whoever is asked properly is answered, behind all these.
      await connection.request(subject, '{}');
      await call(first, 'publish', { channel: 'room-1', data: 'last' });
      expect((await stream.next()).data).toBe('last');
      const { state } = await jsm.streams.info('NEWS');
      expect([state.messages, state.first_seq, revoked.getProcessed()]).toEqual([1, 1, 0]);
      // One of them took the call.
      const lines = () => [first, second].flatMap(({ logs }) => logs.map(({ message }) => message));
      await poll('it to be told', () => lines().some((line) => line.includes('where no answers belong')));
    },
  );
});

describe('whatever is sent', () => {
  it('is refused with a code, and takes nothing down', async () => {
    const pair = await start();
    const code = async (operation: string, text: string) => (await ask(pair, operation, text)).error?.code;
    const deep = nested(100_000);
    for (const to of ['"broadcast":true', '"channel":"room-1"', '"connection":"x"'])
      expect(await code('publish', `{${to},"data":${deep}}`)).toBe('CONTROL_INVALID');
    expect(await code('publishBatch', `{"messages":${deep}}`)).toBeUndefined();
    const made = (depth: number) => `{"channel":"room-1","metadata":{"a":${nested(depth)}}}`;
    for (const depth of [32, 2000]) expect(await code('create', made(depth))).toBe('CONTROL_INVALID');
    // Twice, so that it is compared.
    for (let n = 0; n < 2; n += 1) expect(await code('create', made(31))).toBeUndefined();
    expect(await code('channel', '{"channel":"room-1"}')).toBeUndefined();
    for (const text of ['[]', '"x"', '1', '{', '{}{}', '{"a":1e999}', deep])
      expect(await code('stats', text)).toMatch(/^CONTROL_(MALFORMED|INVALID|TOO_LARGE)$/);
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty'])
      expect(await code('stats', `{"${name}":{}}`)).toBe('CONTROL_INVALID');
    expect(await code('disconnect', '{"connection":"x","retry":1e308}')).toBe('CONTROL_INVALID');
    expect(await code('publish', '{"channel":"room-1","data":"","id":"\\ud800"}')).toBe('CONTROL_INVALID');
    expect(await code('publish', '{"channel":"room-1","data":"a\\udfff"}')).toBe('CONTROL_INVALID');
    expect(await call(pair.second, 'instances')).toMatchObject({ instances: { missing: [] } });
  });

  it('of a batch names an unknown field by no more than its beginning', async () => {
    const pair = await start();
    const long = 'x'.repeat(500_000);
    const answer = await ask(pair, 'publishBatch', `{"messages":[{"${long}":1},7,{"data":"${long}"}]}`);
    const text = JSON.stringify(answer);
    expect(text.length).toBeLessThan(1000);
    expect(answer).toMatchObject({ accepted: 0, refused: 3 });
  });

  it('is not given to some instances only where it is too large for the others', async () => {
    const { first, second } = await start();
    const stream = await first.stream('/events/room-1');
    const data = 'x'.repeat(1024 * 1024 - 60);
    expect(await refusal(first, 'publish', { broadcast: true, data })).toBe('CONTROL_TOO_LARGE');
    await call(second, 'publish', { broadcast: true, data: 'small' });
    expect((await stream.next()).data).toBe('small');
  });
});

describe('an answer that is larger than NATS takes', () => {
  it('is refused, and of an instance is as none', async () => {
    const nats = await startNats({ config: 'max_payload: 600' });
    const [first, second] = [await startBridge({ nats }), await startBridge({ nats })];
    await acquainted([first, second]);
    const { instance } = await first.logged('an instance appeared');
    expect(await call(first, 'stats')).toMatchObject({ instances: { missing: [instance] } });
    await second.logged('an answer is too large');
    const { connection } = await startPublisher(nats);
    await nats.subscribed('sidestream.api.publishBatch', 2);
    const text = JSON.stringify({ messages: Array(50).fill({}) });
    const answer = await connection.request('sidestream.api.publishBatch', text);
    expect(answer.json()).toMatchObject({ error: { code: 'CONTROL_FAILED' } });
  });
});

describe('instances of which one has no such route, as while a new config goes round', () => {
  const both = async () => {
    const nats = await startNats({ jetStream: true });
    const young = await startBridge({ nats, config: ROOMS });
    const old = await startBridge({ nats });
    await acquainted([young, old]);
    await poll(
      'the bucket',
      async () => (await young.sample('sidestream_control_channels_persistent')) === 1,
    );
    const { instance } = await young.logged('an instance appeared');
    const client = await young.request('/events/room-1');
    const { connection } = JSON.parse((await client.next('sidestream.open')).data);
    return { young, old, missing: { instances: { missing: [instance] } }, client, connection };
  };

  it('do what the one that was called knows, and say that the other is missing', async () => {
    const { young, missing, client, connection } = await both();
    const channel = 'room-2';
    expect(await call(young, 'subscribe', { connection, channels: [channel] })).toMatchObject(missing);
    await client.next('sidestream.subscribed');
    expect(await call(young, 'create', { channel, metadata: {} })).toMatchObject({ isNew: true, ...missing });
    expect(await call(young, 'close', { channel })).toMatchObject({ closed: 1, persisted: true, ...missing });
  });

  it('do nothing where the one that was called does not know it', async () => {
    const { young, old, client, connection } = await both();
    const channel = 'room-1';
    const acts = { subscribe: { connection, channels: ['room-2'] }, create: { channel }, close: { channel } };
    for (const [operation, fields] of Object.entries(acts))
      expect(await refusal(old, operation, fields)).toBe('CHANNEL_NOT_FOUND');
    expect(await call(young, 'list')).toMatchObject({ total: 0 });
    await call(young, 'publish', { connection, data: 'last' });
    const { event, data } = await client.next();
    expect([event, data]).toEqual(['message', 'last']);
  });
});

describe('an instance that lies', () => {
  it('can be many, and answer as others, and nobody is harmed', async () => {
    const pair = await start();
    const { publisher, first, second } = pair;
    const { connection } = publisher;
    const { list } = await call(first, 'instances');
    const own = (list as { instance: string }[]).map(({ instance }) => instance);
    const { instance: asked } = await second.logged('an instance appeared');
    connection.subscribe('sidestream.control.instances', {
      callback(_error, message) {
        for (const instance of [asked, 'x'.repeat(65), 'a b', '', 7, 'fake'])
          for (const fields of [
            {},
            { ok: true },
            { ok: false, error: null },
            { ok: false, error: { code: 7 } },
          ])
            message.respond(JSON.stringify({ instance, ...fields }));
        message.respond(nested(100_000));
      },
    });
    await connection.flush();
    const { instances } = await call(first, 'instances');
    expect(instances).toMatchObject({ answered: expect.arrayContaining([own[0]]) });
    const { answered } = instances as { answered: string[] };
    expect(new Set(answered).size).toBe(answered.length);
    expect(answered.every((instance) => own.includes(instance))).toBe(true);
  });

  it('tells no terminal what to do', async () => {
    const { publisher, first } = await start();
    const fields = { instance: 'fake', version: '1\u009b2J', startedMs: 0, host: 'evil\u009b2J' };
    publisher.connection.publish('sidestream.peer.here', JSON.stringify(fields));
    const { host, version } = await first
      .logged('an instance appeared')
      .then(() => first.logs.find(({ instance }) => instance === 'fake') ?? { host: '', version: '' });
    expect(JSON.stringify([host, version])).not.toContain('\u009b');
  });
});

describe('what nobody has', () => {
  it('cannot be ended, but for a user, who is only not there', async () => {
    const { first, second } = await start();
    const codeOf = (fields: Record<string, string>) => refusal(first, 'disconnect', fields);
    expect(await codeOf({ connection: 'nobody' })).toBe('CONNECTION_NOT_FOUND');
    expect(await codeOf({ channel: 'nowhere' })).toBe('CHANNEL_NOT_FOUND');
    for (const fields of [{ user: '42' }, { channel: 'room-1' }])
      expect(await call(second, 'disconnect', fields)).toMatchObject({ closed: 0 });
  });
});

describe('a page of the list', () => {
  it('ends before it is larger than NATS takes, and the rest is on the next', async () => {
    const { publisher, first } = await start();
    const metadata = { a: 'x'.repeat(4000) };
    const names = Array.from({ length: 300 }, (_, n) => `room-${1000 + n}`);
    await Promise.all(names.map((channel) => call(first, 'create', { channel, metadata })));
    const found: string[] = [];
    for (let after: string | undefined; ; ) {
      const fields = JSON.stringify({ limit: 1000, ...(after !== undefined && { after }) });
      const answer = await publisher.connection.request('sidestream.api.list', fields);
      const page = answer.json<{ list: { channel: string }[]; next?: string }>();
      found.push(...page.list.map(({ channel }) => channel));
      after = page.next;
      if (after === undefined) break;
    }
    expect(found).toEqual(names);
  });
});

describe('the service', () => {
  it('that cannot be offered is said to be so', async () => {
    const bridge = await startBridge({ nats: await startNats(), version: 'no version' });
    await bridge.logged('the NATS service cannot be offered from here');
    await acquainted([bridge]);
  });
});
