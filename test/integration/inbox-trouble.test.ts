import { readFileSync } from 'node:fs';
import { jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { InboxMetrics } from '../../src/inbox/metrics.ts';
import { InboxRefusal } from '../../src/inbox/refusal.ts';
import {
  decodeState,
  encodeState,
  keyOf,
  merge,
  nothingRead,
  type ReadState,
} from '../../src/inbox/state.ts';
import { ReadStore } from '../../src/inbox/store.ts';
import { createLog } from '../../src/log.ts';
import { startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { type InboxAnswer, Inboxed, inboxOf, openBadge, ROUTES, startInboxed } from './inboxed.ts';
import { AUTH } from './protected.ts';

const idsOf = ({ list = [] }: Pick<InboxAnswer, 'list'>) => list.map(({ id }) => id);
const codeOf = ({ status, error }: InboxAnswer) => `${status} ${error?.code}`;

/** Asks until the answer is another than that the inbox cannot be asked now. */
async function available(ask: () => Promise<InboxAnswer>): Promise<InboxAnswer> {
  return poll('an answer of the inbox', async () => {
    const answer = await ask();
    return answer.status === 503 ? undefined : answer;
  });
}

function storeOn(connection: NatsConnection) {
  const metrics = new InboxMetrics();
  const log = createLog({ level: 'silent', format: 'json' }, { write: () => true });
  const store = new ReadStore({ name: 'sidestream_inbox', clock: systemClock, log, metrics });
  store.connected(connection);
  return { store, metrics };
}

describe('what was read', () => {
  it('by many at once, at several instances, is all read', async () => {
    const inboxed = await startInboxed();
    const bridges = await Promise.all([inboxed.bridge(), inboxed.bridge()]);
    for (let i = 0; i < 20; i += 1) await inboxed.notify(`${i}`);
    const [one] = bridges;
    const ids = idsOf(await inboxOf(one));
    const answers = await Promise.all(
      ids.slice(0, 18).map((id, index) => inboxOf(bridges[index % 2] ?? one, { read: { ids: [id] } })),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(18).fill(200));
    for (const bridge of bridges) expect(idsOf(await inboxOf(bridge))).toEqual(ids.slice(18));
  });

  it('by another between looking and writing is merged', async () => {
    const { publisher } = await startInboxed();
    const { connection } = publisher;
    const { store, metrics } = storeOn(connection);
    const other: ReadState = { epoch: 'e', through: 1, read: [] };
    const { state, isNew } = await store.change('user-42', (stored) => {
      // On the same connection, so it is there before what is written next.
      if (stored === undefined)
        connection.publish(`$KV.sidestream_inbox.${keyOf('user-42')}`, encodeState('user-42', other));
      return merge(stored ?? nothingRead('e'), { epoch: 'e', through: 0, read: [3] });
    });
    expect([state, isNew, metrics.conflicts]).toEqual([{ epoch: 'e', through: 1, read: [3] }, true, 1]);
    const messages = (await jetstreamManager(connection)).streams;
    const written = await messages.getMessage('KV_sidestream_inbox', { seq: 2 });
    expect(await store.get('user-42')).toEqual({ state, writtenMs: written?.time.getTime(), revision: 2 });
  });

  it('by a hundred at once at one instance is written together, and who is refused is refused alone', async () => {
    const { publisher } = await startInboxed();
    const { store, metrics } = storeOn(publisher.connection);
    const read = (offset: number) =>
      store.change('user-42', (stored = nothingRead('e')) => {
        if (offset === 50) throw new InboxRefusal('INBOX_FULL', 'not this one');
        return merge(stored, { epoch: 'e', through: 0, read: [offset] });
      });
    const offsets = Array.from({ length: 100 }, (_, index) => index + 1);
    const outcomes = await Promise.allSettled(offsets.map(read));
    const refused = outcomes.flatMap((each, index) => (each.status === 'rejected' ? [index + 1] : []));
    expect(refused).toEqual([50]);
    expect((await store.get('user-42')).state?.read).toEqual(offsets.filter((offset) => offset !== 50));
    const bucket = await new Kvm(publisher.connection).open('sidestream_inbox');
    expect([metrics.conflicts, (await bucket.get(keyOf('user-42')))?.revision]).toEqual([0, 2]);
    store.disconnected();
    const away = await Promise.allSettled([read(200), read(201)]);
    expect(away.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    store.reconnected();
    expect(await read(202)).toMatchObject({ isNew: true });
    expect(await read(202)).toMatchObject({ isNew: false });
  });

  it('outlives every instance, and NATS', async () => {
    const inboxed = await startInboxed();
    const bridge = await inboxed.bridge();
    for (const text of ['a', 'b']) await inboxed.notify(text);
    const ids = idsOf(await inboxOf(bridge));
    await inboxOf(bridge, { read: { ids: [ids[0]] } });
    await bridge.stop();
    await inboxed.nats.kill();
    await inboxed.nats.restart();
    const next = await inboxed.bridge();
    expect(idsOf(await available(() => inboxOf(next)))).toEqual([ids[1]]);
  });

  it('is remembered for who is there where the bucket was deleted, which is made anew', async () => {
    const inboxed = await startInboxed();
    const bridge = await inboxed.bridge();
    for (const text of ['a', 'b', 'c']) await inboxed.notify(text);
    const badge = await openBadge(bridge);
    await badge.count(3);
    const ids = idsOf(await inboxOf(bridge));
    await inboxOf(bridge, { read: { ids: [ids[0]] } });
    await badge.count(2);
    await inboxed.deleteStream('KV_sidestream_inbox');
    expect(idsOf(await inboxOf(bridge))).toEqual(ids.slice(1));
    expect(await inboxOf(bridge, { read: { ids: [ids[1]] } })).toMatchObject({ status: 200, unread: 1 });
    await badge.count(1);
    const bucket = await new Kvm(inboxed.publisher.connection).open('sidestream_inbox');
    const value = (await bucket.get(keyOf('user-42')))?.value ?? new Uint8Array();
    expect(decodeState('user-42', value)).toMatchObject({ through: 2, read: [] });
  });

  it('without a word to an instance is learned by it when it is asked, and told', async () => {
    const inboxed = await startInboxed();
    const bridge = await inboxed.bridge();
    for (const text of ['a', 'b']) await inboxed.notify(text);
    const badge = await openBadge(bridge);
    const { through = '' } = await badge.count(2);
    const [epoch = ''] = through.split('.');
    const bucket = await new Kvm(inboxed.publisher.connection).create('sidestream_inbox');
    await bucket.put(keyOf('user-42'), encodeState('user-42', { epoch, through: 1, read: [] }));
    expect(await inboxOf(bridge, '?count=only')).toMatchObject({ unread: 1 });
    await badge.count(1);
  });

  it('by what somebody else wrote there is nothing, and is written over', async () => {
    const inboxed = await startInboxed();
    const bridge = await inboxed.bridge();
    await inboxed.notify('a');
    const bucket = await new Kvm(inboxed.publisher.connection).create('sidestream_inbox');
    await bucket.put(keyOf('user-42'), '{"channel":"user-42"');
    expect(await inboxOf(bridge)).toMatchObject({ unread: 1 });
    expect(await inboxOf(bridge, { read: { all: true } })).toMatchObject({ unread: 0 });
  });

  it('is not taken for read where the bucket is full: whoever marks is told, and asking goes on', async () => {
    const inboxed = await startInboxed();
    const kvm = new Kvm(inboxed.publisher.connection);
    const bucket = await kvm.create('sidestream_inbox', { history: 1, max_bytes: 1000 });
    const bridge = await inboxed.bridge();
    for (const text of ['a', 'b']) await inboxed.notify(text);
    const badge = await openBadge(bridge);
    await badge.count(2);
    await bucket.put('else', 'x'.repeat(900));
    expect(codeOf(await inboxOf(bridge, { read: { all: true } }))).toBe('503 INBOX_UNAVAILABLE');
    expect(await inboxOf(bridge)).toMatchObject({ status: 200, unread: 2 });
    await bucket.purge('else');
    expect(await inboxOf(bridge, { read: { all: true } })).toMatchObject({ status: 200, unread: 0 });
    await badge.count(0);
  });

  it('may be gone by then: what is left is marked all the same', async () => {
    const inboxed = await startInboxed();
    const bridge = await inboxed.bridge();
    for (const text of ['a', 'b', 'c']) await inboxed.notify(text);
    const ids = idsOf(await inboxOf(bridge));
    await (await jetstreamManager(inboxed.publisher.connection)).streams.deleteMessage('NOTIFY', 2);
    expect(await inboxOf(bridge, { read: { ids: ids.slice(0, 2) } })).toMatchObject({
      status: 200,
      unread: 1,
    });
    expect(idsOf(await inboxOf(bridge))).toEqual(ids.slice(2));
  });

  it('is void with the stream that it is of: what is in the new one is unread, and old ids are refused', async () => {
    const inboxed = await startInboxed();
    const bridge = await inboxed.bridge();
    await inboxed.notify('a');
    await inboxed.notify('b');
    const badge = await openBadge(bridge);
    await badge.count(2);
    const { through = '', ...before } = await inboxOf(bridge, { read: { all: true } });
    expect(before.unread).toBe(0);
    await inboxed.notify('c', {}, '7');
    await inboxOf(bridge, { read: { all: true } }, { sub: '7' });
    await inboxed.deleteStream('NOTIFY');
    await inboxed.makeStream();
    await inboxed.notify('new');
    await inboxed.notify('new', {}, '7');
    await badge.count(1);
    // And for somebody whom nobody counts.
    expect(await inboxOf(bridge, '', { sub: '7' })).toMatchObject({ unread: 1, list: [{ data: 'new' }] });
    const after = await available(() => inboxOf(bridge));
    expect(after).toMatchObject({ unread: 1, list: [{ data: 'new' }] });
    expect(codeOf(await inboxOf(bridge, { read: { through } }))).toBe('409 INBOX_POSITION');
    expect(await inboxOf(bridge, { read: { ids: idsOf(after) } })).toMatchObject({ unread: 0 });
  });
});

it('what went from the stream without a word is gone from the count as soon as somebody asks for the list', async () => {
  const inboxed = await startInboxed();
  const bridge = await inboxed.bridge();
  const badge = await openBadge(bridge);
  for (const text of ['a', 'b', 'c']) await inboxed.notify(text);
  await badge.count(3);
  await (await jetstreamManager(inboxed.publisher.connection)).streams.purge('NOTIFY');
  expect(await inboxOf(bridge)).toMatchObject({ unread: 0, list: [] });
  await badge.count(0);
  await inboxed.notify('d');
  await badge.count(1);
});

describe('an inbox that cannot be asked', () => {
  it('because there is no JetStream says so', async () => {
    const nats = await startNats();
    const bridge = await startBridge({ nats, config: { auth: AUTH, channels: ROUTES } });
    expect(codeOf(await inboxOf(bridge))).toBe('503 INBOX_UNAVAILABLE');
    expect(codeOf(await inboxOf(bridge, { read: { all: true } }))).toBe('503 INBOX_UNAVAILABLE');
    expect(await bridge.sample('sidestream_inbox_failures_total')).toBeGreaterThan(0);
  });

  it('because its stream is missing says so, and answers once that is there', async () => {
    const inboxed = await startInboxed();
    await inboxed.deleteStream('NOTIFY');
    const bridge = await inboxed.bridge();
    expect(codeOf(await inboxOf(bridge))).toBe('503 INBOX_UNAVAILABLE');
    await inboxed.makeStream();
    await inboxed.notify('a');
    expect(await available(() => inboxOf(bridge))).toMatchObject({ status: 200, unread: 1 });
  });

  it('while NATS is away says so at once; then what was read elsewhere meanwhile is told', async () => {
    const inboxed = await startInboxed();
    const bridge = await inboxed.bridge();
    await inboxed.notify('a');
    await inboxed.notify('b');
    const badge = await openBadge(bridge);
    const { through = '' } = await badge.count(2);
    const [epoch = ''] = through.split('.');
    // Written without a word to the instances: what they would have said to each other was lost.
    const bucket = await new Kvm(inboxed.publisher.connection).create('sidestream_inbox');
    await bucket.put(keyOf('user-42'), encodeState('user-42', { epoch, through: 1, read: [] }));
    await inboxed.nats.kill();
    await poll('the loss of the connection', () => !bridge.metrics.natsConnected);
    expect(codeOf(await inboxOf(bridge))).toBe('503 INBOX_UNAVAILABLE');
    await inboxed.nats.restart();
    await badge.count(1);
    expect(await available(() => inboxOf(bridge))).toMatchObject({ unread: 1 });
  });

  it('for what NATS does not permit says so, and streams go on', async () => {
    const { inboxed, bridge } = await withPermissions({ deny: DENIED });
    const badge = await openBadge(bridge);
    expect(codeOf(await inboxOf(bridge))).toBe('503 INBOX_UNAVAILABLE');
    await inboxed.notify('a');
    expect((await badge.client.next()).data).toBe('a');
  });
});

it('what the page lists is all that an inbox must be permitted', async () => {
  const { inboxed, bridge } = await withPermissions([...NEEDED, ...LISTED]);
  const badge = await openBadge(bridge);
  await badge.count(0);
  await inboxed.notify('a');
  await badge.count(1);
  expect(await inboxOf(bridge, { read: { all: true } })).toMatchObject({ status: 200, unread: 0 });
  await badge.count(0);
  const refused = bridge.logs.filter((line) => /inbox/.test(String(line.error)));
  expect(refused).toEqual([]);
});

const DENIED = ['$JS.API.STREAM.*.KV_sidestream_inbox', '$KV.sidestream_inbox.>'];
/** What a bridge needs for the stream of a route, and for revocations. */
const NEEDED = [
  '$JS.API.STREAM.INFO.NOTIFY',
  '$JS.API.STREAM.MSG.GET.NOTIFY',
  '$JS.API.CONSUMER.*.NOTIFY',
  '$JS.API.CONSUMER.*.NOTIFY.>',
  '$JS.FC.NOTIFY.>',
  '$JS.API.STREAM.*.KV_sidestream_revocations',
  '$JS.API.CONSUMER.*.KV_sidestream_revocations.>',
  '$JS.API.CONSUMER.MSG.NEXT.KV_sidestream_revocations.>',
  '$KV.sidestream_revocations.>',
];
/** What the page lists. */
const LISTED = [
  ...(readFileSync(new URL('../../docs/inbox.md', import.meta.url), 'utf8')
    .split('## Permissions in NATS')[1]
    ?.matchAll(/`([$a-z][A-Za-z_$.]*\.[A-Za-z_.>]*)`/g) ?? []),
].flatMap(([, subject]) => subject ?? []);
const AS_BRIDGE = { nats: { auth: { user: 'bridge', password: 'p' } } };

/** A bridge that may publish so much on NATS. */
async function withPermissions(publish: readonly string[] | { readonly deny: readonly string[] }) {
  const config = `authorization { users = [
    { user: app, password: p }
    { user: bridge, password: p, permissions: { publish: ${JSON.stringify(publish)}, subscribe: ">" } }
  ] }`;
  const nats = await startNats({ jetStream: true, config });
  const inboxed = new Inboxed(nats, await startPublisher(nats, { user: 'app', pass: 'p' }));
  await inboxed.makeStream();
  return { inboxed, bridge: await inboxed.bridge(AS_BRIDGE) };
}
