import { DiscardPolicy, jetstreamManager } from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { Revocations } from '../../src/auth/revocations.ts';
import { systemClock } from '../../src/clock.ts';
import { keyOf } from '../../src/control/revocation/record.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { BUCKET, command, HOUR_MS, persistent, startControl, startPersistent } from './running.ts';
import {
  createBucket,
  deaf,
  deleteBucket,
  hold,
  KEPT,
  LEARNED,
  LOST,
  now,
  openBucket,
  operator,
  record,
  startWithBackend,
  stored,
  userKey,
  watchRequests,
} from './stored.ts';

const DAY_MS = 86_400_000;

/** Seconds since the Unix epoch as an answer has them. */
const toDateTime = (seconds: number) => new Date(seconds * 1000).toISOString();

describe('a revocation', () => {
  it('is stored, one key for each user, token and everybody, and the answer says so', async () => {
    const { control, backend } = await startWithBackend();
    const issuedBefore = now();
    const expires = issuedBefore + 600;
    for (const target of [{ user: '42', issuedBefore }, { tokenId: 'phone' }, { issuedBefore }])
      expect(await command(backend, 'revoke', { ...target, expires })).toEqual([
        { instance: 'one', ok: true, closed: 0, until: toDateTime(expires), persisted: true },
      ]);
    const [issuedBeforeMs, untilMs] = [issuedBefore * 1000, expires * 1000];
    expect(Object.fromEntries(await stored(backend))).toEqual({
      [userKey('42')]: { user: '42', issuedBeforeMs, untilMs },
      [keyOf({ tokenId: 'phone' })]: { tokenId: 'phone', untilMs },
      everybody: { issuedBeforeMs, untilMs },
    });
    expect([control.counts.persisted, control.counts.unpersisted]).toEqual([3, 0]);
  });

  it('is known to an instance that starts later, once it is loaded', async () => {
    const { nats, backend } = await startWithBackend();
    await command(backend, 'revoke', { user: '42' });
    await command(backend, 'revoke', { tokenId: 'phone' });
    const later = await startControl(nats, { instance: 'later' });
    await later.control.loaded;
    expect([
      later.refuses({ sub: '42' }),
      later.refuses({ jti: 'phone' }),
      later.refuses({ sub: '43' }),
    ]).toEqual([true, true, false]);
  });

  it('of any name is stored and known again', async () => {
    const { nats, backend } = await startWithBackend();
    const names = ['a.b', '*', '>', ' ', 'Jürgen', '🙂', '\n\0', '$SYS.x', '-', 'x'.repeat(15_000)];
    for (const user of names)
      expect(await command(backend, 'revoke', { user })).toMatchObject([{ ok: true, persisted: true }]);
    const later = await deaf(nats);
    expect(names.filter((sub) => !later.refuses({ sub }))).toEqual([]);
  });

  it('reaches an instance that missed the command, and ends its streams', async () => {
    const { nats, control, backend, logged } = await startWithBackend();
    const other = await deaf(nats);
    other.streams.add('a', { sub: '42' });
    other.streams.add('b', { sub: '43' });
    await command(backend, 'revoke', { user: '42' });
    await poll('the other instance to learn', () => other.streams.ended.length > 0);
    expect(other.streams.ended).toEqual(['revoked a']);
    expect(other.refuses({ sub: '42' })).toBe(true);
    expect(other.lines.find(({ message }) => message === LEARNED)).toMatchObject({
      revocations: 1,
      closed: 1,
    });
    // Who had the command learns nothing new from the bucket.
    expect([control.counts.learned, other.control.counts.learned, logged(LEARNED)]).toEqual([0, 1, 0]);
  });

  it('that came while an instance was cut off reaches it when it is back', async () => {
    const { nats, backend } = await startWithBackend();
    const other = await deaf(nats);
    other.streams.add('a', { sub: '42' });
    await other.connection.close();
    await command(backend, 'revoke', { user: '42' });
    expect(other.refuses({ sub: '42' })).toBe(false);
    other.control.connected(await operator(nats));
    await persistent(other);
    expect(other.streams.ended).toEqual(['revoked a']);
  });

  it('is never narrowed by a later one, nor by an instance that knows less', async () => {
    const nats = await startNats({ jetStream: true });
    const backend = await operator(nats);
    const wide = now() - 100;
    const expires = wide + 3000;
    const kv = await createBucket(backend, { ttl: HOUR_MS });
    await kv.put(userKey('42'), record('42', wide, expires));
    const running = await startControl(nats);
    // Perhaps before it has read anything.
    await command(backend, 'revoke', { user: '42', issuedBefore: wide - 1000, expires: expires - 1000 });
    await persistent(running);
    await command(backend, 'revoke', { user: '42', issuedBefore: wide - 2000, expires: expires - 500 });
    expect((await stored(backend)).get(userKey('42'))).toEqual({
      user: '42',
      issuedBeforeMs: wide * 1000,
      untilMs: expires * 1000,
    });
    expect(running.refuses({ sub: '42', iat: wide })).toBe(true);
  });

  it('of many instances and commands at once leaves what all of them say together', async () => {
    const nats = await startNats({ jetStream: true });
    const backend = await operator(nats);
    for (const instance of ['one', 'two', 'three']) await startPersistent(nats, { instance });
    const base = now();
    const answers = await Promise.all(
      [3, 1, 4, 1, 5, 9, 2, 6].map((n) =>
        command(backend, 'revoke', { user: '42', issuedBefore: base - 100 + n, expires: base + 600 - n }, 3),
      ),
    );
    expect(answers.flat().filter(({ persisted }) => persisted !== true)).toEqual([]);
    expect((await stored(backend)).get(userKey('42'))).toEqual({
      user: '42',
      issuedBeforeMs: (base - 91) * 1000,
      untilMs: (base + 599) * 1000,
    });
  });

  it('does not undo what another instance writes between our reading and our writing', async () => {
    const { connection, backend } = await startWithBackend();
    const kv = await openBucket(backend);
    const base = now() - 100;
    const ask = connection.request.bind(connection);
    let reads = 0;
    connection.request = async (subject, ...rest) => {
      const answer = await ask(subject, ...rest);
      if (subject.startsWith('$JS.API.STREAM.MSG.GET')) {
        reads += 1;
        if (reads === 1) await kv.put(userKey('42'), record('42', base, base + 600));
      }
      return answer;
    };
    const narrower = { user: '42', issuedBefore: base - 1000, expires: base + 3000 };
    expect(await command(backend, 'revoke', narrower)).toMatchObject([{ persisted: true }]);
    expect(reads).toBe(2);
    const both = { user: '42', issuedBeforeMs: base * 1000, untilMs: (base + 3000) * 1000 };
    expect((await stored(backend)).get(userKey('42'))).toEqual(both);
  });

  it('does not undo what another instance wrote of which we have not heard', async () => {
    const { control, connection, backend } = await startWithBackend();
    // The reader of the bucket is opened anew, and then asks for nothing.
    const publish = connection.publish.bind(connection);
    connection.publish = (subject, ...rest) => {
      if (!subject.startsWith('$JS.API.CONSUMER.MSG.NEXT.')) publish(subject, ...rest);
    };
    control.reconnected();
    await poll('the bucket to be open again', () => control.persistent);
    const kv = await openBucket(backend);
    const base = now() - 100;
    await kv.put(userKey('42'), record('42', base - 50, base + 3000));
    const shorter = { user: '42', issuedBefore: base, expires: base + 600 };
    expect(await command(backend, 'revoke', shorter)).toMatchObject([{ persisted: true }]);
    expect(control.counts.learned).toBe(0);
    const both = { user: '42', issuedBeforeMs: base * 1000, untilMs: (base + 3000) * 1000 };
    expect((await stored(backend)).get(userKey('42'))).toEqual(both);
  });

  it('that lasts longer than the bucket keeps its values has them kept as long', async () => {
    const nats = await startNats({ jetStream: true });
    await startPersistent(nats, { bucketLookMs: HOUR_MS });
    const backend = await operator(nats);
    const expires = now() + 90 * 86_400;
    expect(await command(backend, 'revoke', { tokenId: 'phone', expires })).toMatchObject([
      { until: toDateTime(expires), persisted: true },
    ]);
    const kv = await openBucket(backend);
    expect((await kv.status()).ttl).toBe(90 * DAY_MS);
    // Who starts later with a shorter time configured leaves it so.
    const later = await startPersistent(nats, { prefix: 'elsewhere', bucketLookMs: HOUR_MS });
    expect(later.refuses({ jti: 'phone' })).toBe(true);
    await command(backend, 'revoke', { tokenId: 'desk', expires: 4_102_444_800 });
    const { ttl } = await kv.status();
    expect(ttl).toBeGreaterThan(4_102_444_800_000 - systemClock.wall());
    // And in a bucket that is made anew.
    await deleteBucket(backend);
    await poll('the bucket to be back', async () => {
      const found = await stored(backend).catch(() => new Map());
      return found.size === 2 && (await (await openBucket(backend)).status()).ttl === ttl;
    });
  });

  it('that comes while the bucket is being opened is stored by the time it is open', async () => {
    const running = await startWithBackend();
    const { control, connection, backend } = running;
    const base = now() - 100;
    await command(backend, 'revoke', { user: '42', issuedBefore: base });
    const opening = hold(connection, '$JS.API.INFO');
    control.reconnected();
    const open = await opening.held();
    // The bucket lacks this one, so it is written; meanwhile one comes that the bucket has, but narrower.
    expect(await command(backend, 'revoke', { tokenId: 'x' })).toMatchObject([{ persisted: false }]);
    const writing = hold(connection, '$KV.');
    open();
    const write = await writing.held();
    const wider = { user: '42', issuedBefore: base + 50 };
    expect(await command(backend, 'revoke', wider)).toMatchObject([{ persisted: false }]);
    write();
    await persistent(running);
    const all = await stored(backend);
    expect(all.get(userKey('42'))).toMatchObject({ issuedBeforeMs: (base + 50) * 1000 });
    expect(all.has(keyOf({ tokenId: 'x' }))).toBe(true);
  });

  it('that an operator deletes is not stored again, and holds until it ends where it is known', async () => {
    const { nats, control, backend, refuses } = await startWithBackend();
    await command(backend, 'revoke', { user: '42' });
    await command(backend, 'revoke', { user: '43' });
    const kv = await openBucket(backend);
    await kv.delete(userKey('42'));
    // What is written after it is read after it.
    await kv.put(userKey('44'), record('44', 1));
    await poll('the deletion to be read', () => control.counts.learned === 1);
    control.reconnected();
    await poll('the bucket to be open again', () => control.persistent);
    expect([...(await stored(backend)).keys()].sort()).toEqual([userKey('43'), userKey('44')].sort());
    expect(refuses({ sub: '42' })).toBe(true);
    const later = await deaf(nats);
    expect([later.refuses({ sub: '42' }), later.refuses({ sub: '43' })]).toEqual([false, true]);
    // Revoked anew, it is stored anew.
    await command(backend, 'revoke', { user: '42', issuedBefore: Math.ceil(systemClock.wall() / 1000) + 5 });
    expect((await stored(backend)).has(userKey('42'))).toBe(true);
  });
});

describe('the bucket', () => {
  it('is made with one value for each key, kept as long as a revocation lasts', async () => {
    const { backend } = await startWithBackend();
    const status = await (await openBucket(backend)).status();
    expect([status.history, status.ttl, status.bucket]).toEqual([1, HOUR_MS, BUCKET]);
  });

  it('that is there already keeps its values longer where it must, and is otherwise left alone', async () => {
    const nats = await startNats({ jetStream: true });
    const backend = await operator(nats);
    const kv = await createBucket(backend, { ttl: 60_000, history: 3, description: 'theirs' });
    await startPersistent(nats);
    let status = await kv.status();
    expect([status.ttl, status.history, status.description]).toEqual([HOUR_MS, 3, 'theirs']);
    await startPersistent(nats, { revocationTtlMs: 60_000 });
    status = await kv.status();
    expect(status.ttl).toBe(HOUR_MS);
  });

  it('may hold what is none of ours: it is counted and passed over', async () => {
    const nats = await startNats({ jetStream: true });
    const backend = await operator(nats);
    const kv = await createBucket(backend, {});
    for (const [index, value] of ['{', '{}', '[1]', 'x'].entries()) await kv.put(`k${index}`, value);
    await kv.put(userKey('42'), record('42'));
    await kv.put('last', 'rubbish');
    const { control, refuses, logged } = await startPersistent(nats);
    expect([refuses({ sub: '42' }), control.counts.unreadable]).toEqual([true, 5]);
    await kv.put('later', 'rubbish');
    await poll('the later one', () => control.counts.unreadable === 6);
    expect(logged('the bucket holds a record that is none of ours')).toBe(1);
    expect(await command(backend, 'revoke', { user: '43' })).toMatchObject([{ persisted: true }]);
  });

  it('holds thousands, and each is known to who starts later', async () => {
    const { nats, backend } = await startWithBackend();
    const users = Array.from({ length: 2000 }, (_, i) => `user-${i}`);
    for (let from = 0; from < users.length; from += 200)
      await Promise.all(users.slice(from, from + 200).map((user) => command(backend, 'revoke', { user })));
    const later = await deaf(nats);
    expect(users.filter((sub) => !later.refuses({ sub }))).toEqual([]);
    expect(later.logged(LEARNED)).toBe(1);
  });

  it('that is deleted comes back with all that was in it, by itself', async () => {
    const { nats, control, backend, logged } = await startWithBackend();
    const users = Array.from({ length: 120 }, (_, i) => `user-${i}`);
    await Promise.all(users.map((user) => command(backend, 'revoke', { user })));
    await deleteBucket(backend);
    await poll('the loss to be noticed', () => control.counts.bucketFailures > 0);
    await poll('the bucket to be back', () => control.persistent);
    expect([logged(LOST), logged(KEPT)]).toEqual([1, 2]);
    const later = await deaf(nats);
    expect(users.filter((sub) => !later.refuses({ sub }))).toEqual([]);
    expect(await command(backend, 'revoke', { user: '42' })).toMatchObject([{ persisted: true }]);
  });

  it('that is deleted just as a command comes has it in the end', async () => {
    const { nats, control, streams, backend } = await startWithBackend();
    streams.add('a', { sub: '42' });
    const [, answers] = await Promise.all([
      deleteBucket(backend),
      command(backend, 'revoke', { user: '42' }),
    ]);
    expect(answers).toMatchObject([{ ok: true, closed: 1 }]);
    await poll(
      'the bucket to hold it',
      async () => control.persistent && (await stored(backend)).has(userKey('42')),
    );
    expect((await deaf(nats)).refuses({ sub: '42' })).toBe(true);
  });

  it('that is deleted and made anew by others behind our back is completed', async () => {
    const { nats, control, backend } = await startWithBackend();
    for (const user of ['1', '2', '3']) await command(backend, 'revoke', { user });
    await deleteBucket(backend);
    const kv = await createBucket(backend, { ttl: HOUR_MS });
    // It begins again at 1, behind what was read.
    await kv.put(userKey('4'), record('4'));
    await poll('it to be completed', async () => control.persistent && (await stored(backend)).size === 4);
    const later = await deaf(nats);
    expect(['1', '2', '3', '4'].map((sub) => later.refuses({ sub }))).toEqual([true, true, true, true]);
    expect(control.counts.learned).toBe(1);
  });

  it('whose stream is purged comes back with all that was in it, though its readers are not told', async () => {
    const nats = await startNats({ jetStream: true });
    const { control, logged } = await startPersistent(nats, { bucketLookMs: 20 });
    const backend = await operator(nats);
    const users = Array.from({ length: 5 }, (_, i) => `user-${i}`);
    for (const user of users) await command(backend, 'revoke', { user });
    await (await jetstreamManager(backend)).streams.purge(`KV_${BUCKET}`);
    await poll('the bucket to be filled', async () => (await stored(backend)).size === users.length);
    await poll('it to be open', () => control.persistent);
    const later = await deaf(nats);
    expect(users.filter((sub) => !later.refuses({ sub }))).toEqual([]);
    expect(logged(LOST)).toBe(1);
  });

  it('that has all it should is left alone, whatever is being written, was deleted by hand or ends soon', async () => {
    const nats = await startNats({ jetStream: true });
    const { control, connection } = await startPersistent(nats, { bucketLookMs: 1 });
    const backend = await operator(nats);
    const looks = watchRequests(connection, '$JS.API.STREAM.INFO.');
    await command(backend, 'revoke', { tokenId: 'soon', expires: now() + 30 });
    await (await jetstreamManager(backend)).streams.purge(`KV_${BUCKET}`);
    await looks.more();
    const writing = hold(connection, '$KV.');
    const answers = command(backend, 'revoke', { tokenId: 'held' });
    const write = await writing.held();
    await looks.more();
    write();
    expect(await answers).toMatchObject([{ persisted: true }]);
    await (await openBucket(backend)).delete(keyOf({ tokenId: 'held' }));
    await looks.more();
    expect([control.counts.bucketFailures, control.persistent]).toEqual([0, true]);
  });

  it('whose time somebody shortens keeps its values as long as before', async () => {
    const nats = await startNats({ jetStream: true });
    await startPersistent(nats, { bucketLookMs: 20 });
    const backend = await operator(nats);
    const jsm = await jetstreamManager(backend);
    await jsm.streams.update(`KV_${BUCKET}`, { max_age: nanos(HOUR_MS / 2) });
    const kv = await openBucket(backend);
    await poll('it to be lengthened', async () => (await kv.status()).ttl >= HOUR_MS);
  });

  it('that drops what is old where it is full is not filled again and again', async () => {
    const nats = await startNats({ jetStream: true });
    const backend = await operator(nats);
    const jsm = await jetstreamManager(backend);
    await createBucket(backend, { ttl: HOUR_MS });
    await jsm.streams.update(`KV_${BUCKET}`, { max_msgs: 1, discard: DiscardPolicy.Old });
    const { control, connection } = await startPersistent(nats, { bucketLookMs: 1 });
    const looks = watchRequests(connection, '$JS.API.STREAM.INFO.');
    for (const tokenId of ['1', '2']) await command(backend, 'revoke', { tokenId });
    await looks.more();
    expect([control.counts.bucketFailures, control.persistent]).toEqual([0, true]);
  });

  it('that holds more than is remembered is not lost for it: what there is no room for is told', async () => {
    const nats = await startNats({ jetStream: true });
    const backend = await operator(nats);
    const kv = await createBucket(backend, {});
    for (const user of ['1', '2', '3']) await kv.put(userKey(user), record(user));
    const revocations = new Revocations(systemClock, 2);
    const { control, refuses, logged } = await startPersistent(nats, { revocations });
    expect(control.counts.notTaken).toBe(1);
    expect(logged('the bucket holds more revocations than are remembered: some are not refused')).toBe(1);
    expect(['1', '2', '3'].map((sub) => refuses({ sub }))).toEqual([true, true, false]);
    expect((await stored(backend)).size).toBe(3);
  });

  it('has what was under way when control stops, and who asked has the answer', async () => {
    const { nats, control, connection, backend } = await startWithBackend();
    const writing = hold(connection, '$KV.');
    const answers = command(backend, 'revoke', { user: '42' });
    const write = await writing.held();
    const stopping = control.stop().then(() => connection.close());
    // A stop that does not wait has closed the connection by then.
    await backend.flush();
    write();
    await stopping;
    expect(await answers).toMatchObject([{ ok: true, persisted: true }]);
    expect(control.persistent).toBe(false);
    expect((await deaf(nats)).refuses({ sub: '42' })).toBe(true);
  });
});
