import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { describe, expect, it } from 'vitest';
import { encodeState, keyOf, type ReadState } from '../../src/inbox/state.ts';
import { epochOf } from '../../src/sources/stream-identity.ts';
import type { TestBridge } from '../support/bridge.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { type InboxAnswer, Inboxed, inboxOf, openBadge, startInboxed } from './inboxed.ts';

const dataOf = ({ list = [] }: InboxAnswer) => list.map(({ data }) => data);
const VOID = 'what was read is of a stream that was longer';
const warned = ({ logs }: TestBridge) => logs.filter(({ message }) => String(message).startsWith(VOID));

/** Asks until the answer is another than that the inbox cannot be asked now. */
function available(ask: () => Promise<InboxAnswer>): Promise<InboxAnswer> {
  return poll('an answer of the inbox', async () => {
    const answer = await ask();
    return answer.status === 503 ? undefined : answer;
  });
}

async function bucketOf({ publisher }: Inboxed) {
  return new Kvm(publisher.connection).create('sidestream_inbox');
}

/** The same after NATS was started again, and JetStream answers: by another connection, as the one that was broken comes back later. */
async function returned({ nats }: Inboxed): Promise<Inboxed> {
  const inboxed = new Inboxed(nats, await startPublisher(nats));
  await poll('JetStream to be back', async () => bucketOf(inboxed).catch(() => undefined));
  return inboxed;
}

/**
 * A stream of `a` and `b`, and a bucket by which more was read of it: as after a restore, which keeps the time at which a stream was made. And a
 * bridge that finds both.
 */
async function short(read: Pick<ReadState, 'through' | 'read'>) {
  const inboxed = await startInboxed();
  for (const text of ['a', 'b']) await inboxed.notify(text);
  const { created } = await (await jetstreamManager(inboxed.publisher.connection)).streams.info('NOTIFY');
  const value = encodeState('user-42', { epoch: epochOf('NOTIFY', created), ...read });
  await (await bucketOf(inboxed)).put(keyOf('user-42'), value);
  return { inboxed, value, bridge: await inboxed.bridge() };
}

describe('what was read of a stream that is shorter by now', () => {
  it('as it was restored from a backup while no instance ran, is void: what comes is unread', async () => {
    const first = await startInboxed();
    for (const text of ['a', 'b']) await first.notify(text);
    await first.nats.backUp();
    const inboxed = await returned(first);
    for (const text of ['c', 'd']) await inboxed.notify(text);
    const before = await inboxed.bridge();
    expect(await inboxOf(before, { read: { all: true } })).toMatchObject({ unread: 0 });
    const read = (await (await bucketOf(inboxed)).get(keyOf('user-42')))?.string() ?? '';
    await before.stop();
    await inboxed.nats.restore();
    // The bucket is not of the backup.
    const after = await returned(inboxed);
    await (await bucketOf(after)).put(keyOf('user-42'), read);
    const bridge = await after.bridge();
    await after.notify('new');
    expect(dataOf(await available(() => inboxOf(bridge)))).toEqual(['a', 'b', 'new']);
    expect(warned(bridge)).toMatchObject([{ channel: 'user-42', through: 4, end: 3 }]);
  });

  it('is void, and stays so when the stream is as long as it was; then it is read as ever', async () => {
    const { inboxed, bridge } = await short({ through: 6, read: [] });
    await inboxed.notify('new');
    const answer = await available(() => inboxOf(bridge));
    expect(dataOf(answer)).toEqual(['a', 'b', 'new']);
    const expected = { level: 'warn', channel: 'user-42', route: 'notifications', through: 6, end: 3 };
    expect(warned(bridge)).toMatchObject([expected]);
    for (const text of ['x', 'y', 'z', 'later']) await inboxed.notify(text);
    const other = await inboxed.bridge();
    expect(await inboxOf(other)).toMatchObject({ unread: 7 });
    expect(await inboxOf(bridge, { read: { through: answer.list?.[1]?.id } })).toMatchObject({ unread: 5 });
    for (const each of [bridge, other])
      expect(dataOf(await inboxOf(each))).toEqual(['new', 'x', 'y', 'z', 'later']);
    expect([warned(bridge).length, warned(other).length]).toEqual([1, 0]);
  });

  it('is void for who is on the channel, also where another instance says it once more', async () => {
    const { inboxed, bridge, value } = await short({ through: 6, read: [] });
    const badge = await openBadge(bridge);
    await badge.count(2);
    inboxed.publisher.connection.publish('sidestream.peer.inbox', value);
    for (const text of ['x', 'y', 'z', 'u', 'v']) await inboxed.notify(text);
    await badge.count(7);
    expect(await inboxOf(bridge, { read: { all: true } })).toMatchObject({ unread: 0 });
    await badge.count(0);
  });

  it('is void where it was read singly as well', async () => {
    const { inboxed, bridge } = await short({ through: 1, read: [3, 5] });
    for (const text of ['x', 'y']) await inboxed.notify(text);
    expect(dataOf(await available(() => inboxOf(bridge)))).toEqual(['a', 'b', 'x', 'y']);
    expect(warned(bridge)).toMatchObject([{ through: 5, end: 4 }]);
  });
});

it('what was read elsewhere a moment ago is read, though it has not come here yet', async () => {
  const inboxed = await startInboxed();
  const bridge = await inboxed.bridge();
  await inboxed.notify('a');
  const [epoch = ''] = ((await inboxOf(bridge)).through ?? '').split('.');
  const bucket = await bucketOf(inboxed);
  const { connection } = inboxed.publisher;
  for (let i = 0; i < 20; i += 1) {
    const { seq: through } = await jetstream(connection).publish('notify.42', `${i}`);
    await bucket.put(keyOf('user-42'), encodeState('user-42', { epoch, through, read: [] }));
    expect(await inboxOf(bridge, '?count=only')).toMatchObject({ status: 200, unread: 0 });
  }
  expect(warned(bridge)).toEqual([]);
});
