import { jetstreamManager, StorageType } from '@nats-io/jetstream';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/folder.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { BUCKET, command, persistent, startControl, startPersistent } from './running.ts';
import {
  createBucket,
  deaf,
  KEPT,
  LOST,
  loseJetStream,
  MEMORY_ONLY,
  now,
  openBucket,
  operator,
  record,
  startWithBackend,
  stored,
  userKey,
} from './stored.ts';

const SIDESTREAM = { user: 'sidestream', pass: 's' };
const OPERATOR = { user: 'operator', pass: 'o' };
const AWAITED =
  'no JetStream that we may use, and control.requireJetStream is true: until what was revoked is known, nobody is let in';
const FORGETS = 'the bucket may forget revocations too soon';

/** Sidestream may not do all; the operator may. */
function permissions(sidestream: string): string {
  return `authorization { users = [
    { user: sidestream, password: s, permissions: { ${sidestream} } }
    { user: operator, password: o }
  ] }`;
}

describe('a restart of nats-server', () => {
  it('loses no revocation, for those who were there and those who come later', async () => {
    const { nats, control, backend, refuses, logged } = await startWithBackend();
    await command(backend, 'revoke', { user: '42' });
    await nats.kill();
    await nats.start();
    await nats.subscribed('sidestream.control.revoke');
    await poll('the bucket to be open', () => control.persistent);
    const asking = await operator(nats);
    expect(await command(asking, 'revoke', { user: '43' })).toMatchObject([{ ok: true }]);
    await poll('both to be stored', async () => (await stored(asking)).size === 2);
    expect([refuses({ sub: '42' }), refuses({ sub: '43' })]).toEqual([true, true]);
    const later = await deaf(nats);
    expect([later.refuses({ sub: '42' }), later.refuses({ sub: '43' })]).toEqual([true, true]);
    expect(logged(MEMORY_ONLY)).toBe(0);
  });

  it('with JetStream switched on stores what was in memory only; switched off, it is in memory again', async () => {
    const jetStream = `jetstream { store_dir: "${temporaryFolder()}" }`;
    const nats = await startNats();
    const running = await startControl(nats);
    const { control, refuses, logged } = running;
    await control.loaded;
    const before = await operator(nats);
    expect(await command(before, 'revoke', { user: '42' })).toMatchObject([{ persisted: false }]);

    nats.configure(jetStream);
    await nats.restart();
    await persistent(running);
    expect((await deaf(nats)).refuses({ sub: '42' })).toBe(true);
    expect([logged(MEMORY_ONLY), logged(KEPT)]).toEqual([1, 1]);

    nats.configure('');
    await nats.restart();
    await poll('it to be told again', () => logged(MEMORY_ONLY) === 2);
    expect(control.persistent).toBe(false);
    const after = await operator(nats);
    expect(await command(after, 'revoke', { user: '43' })).toMatchObject([{ ok: true, persisted: false }]);
    expect([refuses({ sub: '42' }), refuses({ sub: '43' })]).toEqual([true, true]);
  });
});

describe('without JetStream', () => {
  it('revocations are in memory only: that is said once, and nobody waits for what will not come', async () => {
    const nats = await startNats();
    const { control, logged, refuses } = await startControl(nats);
    await control.loaded;
    const backend = await operator(nats);
    for (const user of ['1', '2'])
      expect(await command(backend, 'revoke', { user })).toMatchObject([{ ok: true, persisted: false }]);
    control.reconnected();
    await poll('more looks', () => control.counts.bucketFailures > 2);
    expect([logged(MEMORY_ONLY), control.persistent, refuses({ sub: '1' })]).toEqual([1, false, true]);
    expect(control.counts.unpersisted).toBe(2);
  });

  it('for a moment as it starts, what was revoked before is loaded as soon as it is back', async () => {
    const { nats, backend } = await startWithBackend();
    await command(backend, 'revoke', { user: '42' });
    let away: ReturnType<typeof loseJetStream> | undefined;
    const later = await startControl(nats, { instance: 'later' }, {}, (connection) => {
      away = loseJetStream(connection);
    });
    later.streams.add('a', { sub: '42' });
    await later.control.loaded;
    expect([later.refuses({ sub: '42' }), later.logged(MEMORY_ONLY)]).toEqual([false, 1]);
    away?.back();
    await persistent(later);
    expect([later.refuses({ sub: '42' }), later.streams.ended]).toEqual([true, ['revoked a']]);
  });

  it('where it is required, nobody is told that all is known before it is', async () => {
    const { nats, backend } = await startWithBackend();
    await command(backend, 'revoke', { user: '42' });
    let away: ReturnType<typeof loseJetStream> | undefined;
    const later = await startControl(nats, { requireJetStream: true }, {}, (connection) => {
      away = loseJetStream(connection);
    });
    let refused: boolean | undefined;
    const loaded = later.control.loaded.then(() => {
      refused = later.refuses({ sub: '42' });
    });
    await poll('a second look', () => later.control.counts.bucketFailures === 2);
    expect([refused, later.logged(AWAITED), later.logged(MEMORY_ONLY)]).toEqual([undefined, 1, 0]);
    away?.back();
    await loaded;
    expect(refused).toBe(true);
  });

  it('for our account alone, it is the same', async () => {
    const store = temporaryFolder();
    const nats = await startNats({
      config: `jetstream { store_dir: "${store}" }
        accounts {
          OTHER: { jetstream: enabled, users: [ { user: other, password: o } ] }
          OURS: { users: [ { user: ours, password: p } ] }
        }`,
    });
    const { control, logged } = await startControl(nats, {}, { user: 'ours', pass: 'p' });
    await control.loaded;
    expect(logged(MEMORY_ONLY)).toBe(1);
  });

  it('that is only not ready yet: nobody is told that all is known', async () => {
    const nats = await startNats();
    const backend = await operator(nats);
    // Codes of the server's own list: 10008 is a cluster without a leader, 10039 an account without JetStream.
    let code = 10008;
    backend.subscribe('$JS.API.INFO', {
      callback: (_, message) => {
        const error = { code: 503, err_code: code, description: 'not now' };
        message.respond(JSON.stringify({ type: 'io.nats.jetstream.api.v1.account_info_response', error }));
      },
    });
    await backend.flush();
    const { control, logged } = await startControl(nats);
    let loaded = false;
    void control.loaded.then(() => {
      loaded = true;
    });
    await poll('a second attempt', () => control.counts.bucketFailures === 2);
    expect([loaded, logged(LOST), logged(MEMORY_ONLY)]).toEqual([false, 1, 0]);
    code = 10039;
    await control.loaded;
    expect(logged(MEMORY_ONLY)).toBe(1);
  });

  it('that we may use, it is the same', async () => {
    for (const denied of ['$JS.API.>', '$JS.API.STREAM.CREATE.>', '$JS.API.CONSUMER.CREATE.>']) {
      const config = permissions(`publish: { deny: "${denied}" }`);
      const nats = await startNats({ jetStream: true, config });
      const { control, logged } = await startControl(nats, {}, SIDESTREAM);
      await control.loaded;
      expect(logged(MEMORY_ONLY), denied).toBe(1);
    }
  });
});

describe('a bucket that may be read and not written', () => {
  it('is read, and what cannot be stored is in memory', async () => {
    const nats = await startNats({ jetStream: true, config: permissions('publish: { deny: "$KV.>" }') });
    const owner = await startPersistent(nats, { prefix: 'owner' }, OPERATOR);
    const running = await startPersistent(nats, {}, SIDESTREAM);
    const backend = await operator(nats, OPERATOR);
    expect(await command(backend, 'revoke', { user: '42' })).toMatchObject([{ ok: true, persisted: false }]);
    await poll('it to be told', () => running.logged(LOST) === 1);
    expect(running.refuses({ sub: '42' })).toBe(true);
    // What others store is still learned, between two attempts to store our own.
    const kv = await openBucket(backend);
    await kv.put(userKey('43'), record('43'));
    await poll('the other to be learned', () => running.refuses({ sub: '43' }));
    await poll('everybody to know it', () => owner.refuses({ sub: '43' }));
    expect(running.control.persistent).toBe(false);
  });

  it('and forgets too soon, says so', async () => {
    const nats = await startNats({
      jetStream: true,
      config: permissions('publish: { deny: "$JS.API.STREAM.UPDATE.>" }'),
    });
    await createBucket(await operator(nats, OPERATOR), { ttl: 60_000 });
    const { logged } = await startPersistent(nats, {}, SIDESTREAM);
    expect(logged(FORGETS)).toBe(1);
  });
});

describe('a bucket that may not be made to keep its values longer', () => {
  it('has what lasts longer, for as long as it does; the answer says that this is not enough', async () => {
    const nats = await startNats({
      jetStream: true,
      config: permissions('publish: { deny: "$JS.API.STREAM.UPDATE.>" }'),
    });
    const { control, logged } = await startPersistent(nats, {}, SIDESTREAM);
    const backend = await operator(nats, OPERATOR);
    const expires = now() + 86_400;
    expect(await command(backend, 'revoke', { user: '42', expires })).toMatchObject([
      { ok: true, persisted: false },
    ]);
    expect(await command(backend, 'revoke', { user: '43' })).toMatchObject([{ ok: true, persisted: true }]);
    expect([logged(FORGETS), logged(LOST), control.persistent]).toEqual([1, 0, true]);
    expect((await stored(backend)).size).toBe(2);
  });
});

describe('a bucket that somebody made in memory', () => {
  it('is used, for as long as it should be, and the log says what is wrong with it', async () => {
    const nats = await startNats({ jetStream: true });
    const backend = await operator(nats);
    await createBucket(backend, { storage: StorageType.Memory, ttl: 60_000 });
    const { logged } = await startPersistent(nats);
    expect(logged(FORGETS)).toBe(1);
    expect(await command(backend, 'revoke', { user: '42' })).toMatchObject([{ ok: true, persisted: true }]);
    const status = await (await openBucket(backend)).status();
    expect([status.storage, status.ttl > 60_000]).toEqual(['memory', true]);
  });
});

describe('readers of the bucket', () => {
  it('do not pile up on the server', async () => {
    const { nats, control, backend } = await startWithBackend();
    const jsm = await jetstreamManager(backend);
    control.reconnected();
    await poll('the bucket to be open again', () => control.persistent);
    const { config } = await jsm.consumers
      .list(`KV_${BUCKET}`)
      .next()
      .then(([first]) => {
        if (first === undefined) throw new Error('no reader');
        return first;
      });
    // Forgotten by the server a minute after it has gone; in memory there, and unacknowledged.
    expect([config.inactive_threshold, config.mem_storage, config.ack_policy]).toEqual([60e9, true, 'none']);
    expect(nats.port).toBeGreaterThan(0);
  });
});
