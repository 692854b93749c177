import { DiscardPolicy, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ChannelBook, LISTED_MS } from '../../src/control/channels/channel-book.ts';
import { ChannelKeeper, type ChannelKeeperOptions } from '../../src/control/channels/channel-keeper.ts';
import {
  type ChannelRecord,
  encodeChannel,
  keyOfChannel,
} from '../../src/control/channels/channel-record.ts';
import { createLog } from '../../src/log.ts';
import { type Destination, Router } from '../../src/routing/router.ts';
import { ManualClock } from '../support/clock.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { routeConfig } from '../support/route.ts';

const NAME = 'channels_of_test';
const ROUTES = { rooms: routeConfig({ channel: 'room-{id}', subject: 'rooms.{id}', dynamic: true }) };

/** A keeper on a connection of its own, as an instance has it. */
async function startKeeper(nats: NatsServer, given: Partial<ChannelKeeperOptions> = {}) {
  const clock = new ManualClock();
  const router = new Router(ROUTES);
  const lines: string[] = [];
  const log = createLog({ level: 'info', format: 'json' }, { write: (line) => lines.push(line) });
  const book = new ChannelBook({ clock, router, ended: () => undefined });
  const options = { name: NAME, requireJetStream: false, absentWaitMs: 1000, book, clock, log, ...given };
  const keeper = new ChannelKeeper(options);
  const connection = await connect({ servers: nats.url });
  keeper.connected(connection);
  onTestFinished(async () => {
    keeper.stop();
    await connection.close();
  });
  const stateOf = (channel: string) => book.state(router.resolve(channel) as Destination);
  return { keeper, book, clock, lines, connection, stateOf };
}

async function startOpen(nats: NatsServer) {
  const started = await startKeeper(nats);
  await poll('the bucket to be open', () => started.keeper.isOpen);
  return started;
}

/** How many messages the bucket holds of a channel, marks included. */
async function heldOf({ connection }: Awaited<ReturnType<typeof startKeeper>>, channel: string) {
  const jsm = await jetstreamManager(connection);
  const filter = `$KV.${NAME}.${keyOfChannel(channel)}`;
  const { state } = await jsm.streams.info(`KV_${NAME}`, { subjects_filter: filter });
  return Object.values(state.subjects ?? {}).reduce((sum, count) => sum + count, 0);
}

describe('what is over', () => {
  it('leaves nothing behind in the bucket, but for what was written anew meanwhile', async () => {
    const nats = await startNats({ jetStream: true });
    const first = await startOpen(nats);
    await first.keeper.change('room-1', () => ({ channel: 'room-1', createdMs: 1 }));
    const old = first.book.get('room-1');
    if (old === undefined) throw new Error('it is not in the book');
    await first.keeper.change('room-1', () => ({ channel: 'room-1', createdMs: 2 }));
    await first.keeper.remove(old);
    expect(await heldOf(first, 'room-1')).toBe(1);
    const now = first.book.get('room-1');
    if (now === undefined) throw new Error('it is not in the book');
    await first.keeper.remove(now);
    expect(await heldOf(first, 'room-1')).toBe(0);
    // And can be made again.
    const made = await first.keeper.change('room-1', () => ({ channel: 'room-1', createdMs: 3 }));
    expect(made).toMatchObject({ isWritten: true });
  });
});

describe('what is known of keys', () => {
  it('goes with the channels, and is not kept of what there is no room for', async () => {
    const { keeper, book } = await startOpen(await startNats({ jetStream: true }));
    await keeper.change('room-1', () => ({ channel: 'room-1', createdMs: 1 }));
    expect(keeper.size).toBe(1);
    book.forget('room-1');
    keeper.forget('room-1');
    expect(keeper.size).toBe(0);
  });
});

describe('what the reader brings late', () => {
  const value = (record: ChannelRecord) => Buffer.from(encodeChannel(record));
  const key = keyOfChannel('room-1');
  const writtenMs = 0;

  it('does not undo what was written since, nor a mark that it was removed', async () => {
    const { keeper, stateOf } = await startOpen(await startNats({ jetStream: true }));
    const made = { channel: 'room-1', createdMs: 5 };
    for (let n = 0; n < 3; n += 1) await keeper.change('room-1', () => ({ ...made, activeMs: n }));
    await poll('all to be read', () => keeper.size === 1);
    keeper.take({ key, value: value({ ...made, end: { as: 'closed', atMs: 1 } }), revision: 2, writtenMs });
    keeper.take({ key, value: undefined, revision: 2, writtenMs });
    expect(stateOf('room-1')).toBe('open');
    keeper.take({ key, value: undefined, revision: 4, writtenMs });
    expect(stateOf('room-1')).toBe('unknown');
  });

  it('does not open what is being closed', async () => {
    const { keeper, book, stateOf } = await startOpen(await startNats({ jetStream: true }));
    const made = { channel: 'room-1', createdMs: 5 };
    await keeper.change('room-1', () => made);
    book.take({ ...made, end: { as: 'closed', atMs: 6 } }, undefined);
    keeper.take({ key, value: value({ ...made, activeMs: 6 }), revision: 2, writtenMs });
    expect(stateOf('room-1')).toBe('closed');
    keeper.take({ key, value: value({ channel: 'room-1', createdMs: 7 }), revision: 3, writtenMs });
    expect(stateOf('room-1')).toBe('open');
  });
});

describe('a bucket that is full', () => {
  it('is not read anew at each try, and what is known stays', async () => {
    const nats = await startNats({ jetStream: true });
    const connection = await connect({ servers: nats.url });
    onTestFinished(() => connection.close());
    const jsm = await jetstreamManager(connection);
    const subjects = [`$KV.${NAME}.>`];
    const limits = { max_bytes: 500, max_msgs_per_subject: 1, discard: DiscardPolicy.New };
    await jsm.streams.add({ name: `KV_${NAME}`, subjects, ...limits, allow_rollup_hdrs: true });
    const { keeper, clock, lines, stateOf } = await startOpen(nats);
    await keeper.change('room-1', () => ({ channel: 'room-1', createdMs: 1 }));
    const metadata = { a: 'x'.repeat(500) };
    const change = () => keeper.change('room-2', () => ({ channel: 'room-2', createdMs: 1, metadata }));
    await expect(change()).rejects.toMatchObject({ code: 'CONTROL_UNAVAILABLE' });
    await poll('it to be read anew', () => lines.some((line) => line.includes('cannot be used')));
    await poll('it to be open', () => keeper.isOpen);
    for (let n = 0; n < 5; n += 1) {
      await expect(change()).rejects.toMatchObject({ code: 'CONTROL_UNAVAILABLE' });
      expect([keeper.isOpen, stateOf('room-1')]).toEqual([true, 'open']);
    }
    clock.advance(10_000);
    await expect(change()).rejects.toMatchObject({ code: 'CONTROL_UNAVAILABLE' });
    await poll(
      'it to be read anew',
      () => lines.filter((line) => line.includes('kept in NATS')).length === 3,
    );
  });
});

describe('of many who change one channel at once', () => {
  it('each sees what the others wrote, and nobody’s change is lost', async () => {
    const nats = await startNats({ jetStream: true });
    const keepers = await Promise.all([startOpen(nats), startOpen(nats), startOpen(nats)]);
    await Promise.all(
      keepers.map(({ keeper }, n) =>
        keeper.change('room-1', (known) => ({
          channel: 'room-1',
          createdMs: 1,
          metadata: { ...known?.metadata, [n]: true },
        })),
      ),
    );
    for (const { book } of keepers)
      await poll('all to know all', () => {
        const { metadata = {} } = book.get('room-1')?.record ?? {};
        return Object.keys(metadata).length === keepers.length;
      });
  });
});

describe('where JetStream is not there', () => {
  it('nothing was made, and nothing can be', async () => {
    const { stateOf, keeper, lines } = await startKeeper(await startNats());
    await poll('it to be known', () => stateOf('room-1') === 'unknown');
    const change = keeper.change('room-1', () => ({ channel: 'room-1', createdMs: 1 }));
    await expect(change).rejects.toMatchObject({ code: 'CONTROL_UNAVAILABLE' });
    expect(lines.filter((line) => line.includes('no JetStream that we may use')).length).toBe(1);
  });

  it('nobody knows what was made, where the config says that there is one', async () => {
    const { stateOf, lines } = await startKeeper(await startNats(), { requireJetStream: true });
    await poll('it to have looked', () => lines.length > 0);
    expect(stateOf('room-1')).toBe('loading');
  });
});

describe('what is closed while the bucket is away', () => {
  it('is written when it is back, but for what was made anew since', async () => {
    const nats = await startNats({ jetStream: true });
    const [first, second] = [await startOpen(nats), await startOpen(nats)];
    const at = first.clock.wall();
    for (const channel of ['room-1', 'room-2'])
      await second.keeper.change(channel, () => ({ channel, createdMs: at - 1 }));
    await poll('both to be known', () => first.book.size === 2);
    first.keeper.stop();
    for (const channel of ['room-1', 'room-2'])
      first.book.take({ channel, createdMs: at - 1, end: { as: 'closed', atMs: at } }, undefined);
    const anew = { channel: 'room-2', createdMs: at + 1 };
    await second.keeper.change('room-2', () => anew);
    first.keeper.connected(first.connection);
    await poll('the other to know', () => second.stateOf('room-1') === 'closed');
    await poll('it to be open', () => first.keeper.isOpen);
    expect(first.book.get('room-2')?.record).toEqual(anew);
    expect(second.stateOf('room-2')).toBe('open');
  });
});

describe('a bucket that lost what it held', () => {
  const lose = async ({ connection }: Awaited<ReturnType<typeof startKeeper>>) => {
    const jsm = await jetstreamManager(connection);
    await jsm.streams.purge(`KV_${NAME}`);
  };

  it('is given it again, though it is the same bucket: it may be about to go', async () => {
    const nats = await startNats({ jetStream: true });
    const first = await startOpen(nats);
    await first.keeper.change('room-1', () => ({ channel: 'room-1', createdMs: 1 }));
    await lose(first);
    first.keeper.reconnected();
    await poll('it to be there again', async () => (await heldOf(first, 'room-1')) === 1);
  });

  it('is not given again, after an hour, what may have been removed for being over', async () => {
    const nats = await startNats({ jetStream: true });
    const first = await startOpen(nats);
    await first.keeper.change('room-1', () => ({ channel: 'room-1', createdMs: 1 }));
    await lose(first);
    first.keeper.disconnected();
    first.clock.advance(LISTED_MS);
    first.keeper.reconnected();
    await poll('it to be forgotten', () => first.stateOf('room-1') === 'unknown');
    await poll('the bucket to be open', () => first.keeper.isOpen);
    expect(await heldOf(first, 'room-1')).toBe(0);
  });
});
