import {
  DiscardPolicy,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { describe, expect, it } from 'vitest';
import { ALONE, LOST, SHARED } from '../integration/ticketed.ts';
import { temporaryFolder } from '../support/folder.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { connected, startBucket, TICKET_BUCKET, TTL_MS } from './ticket-running.ts';

const SIDESTREAM = { user: 'sidestream', pass: 's' };
const OPERATOR = { user: 'operator', pass: 'o' };

const permissions = (sidestream: string) => `authorization { users = [
  { user: sidestream, password: s, permissions: { ${sidestream} } }
  { user: operator, password: o }
] }`;

/** JetStream is there from now on, and says the server's own code for a cluster without a leader. */
async function answerNotNow(nats: NatsServer): Promise<void> {
  const server = await connected(nats);
  server.subscribe('$JS.API.INFO', {
    callback: (_, message) => {
      const error = { code: 503, err_code: 10008, description: 'not now' };
      message.respond(JSON.stringify({ type: 'io.nats.jetstream.api.v1.account_info_response', error }));
    },
  });
  await server.flush();
}

/** A bucket with a history of one, as a person might make it. */
async function makeBucket(nats: NatsServer, config: Partial<StreamConfig>): Promise<void> {
  const { streams } = await jetstreamManager(await connected(nats));
  await streams.add({
    name: `KV_${TICKET_BUCKET}`,
    subjects: [`$KV.${TICKET_BUCKET}.>`],
    max_msgs_per_subject: 1,
    ...config,
  });
}

describe('a ticket', () => {
  it('is the first for one instance, and used for all others', async () => {
    const nats = await startNats({ jetStream: true });
    const [one, two] = [await startBucket(nats), await startBucket(nats)];
    expect([await one.bucket.claim('a'), await two.bucket.claim('a'), await one.bucket.claim('a')]).toEqual([
      'first',
      'used',
      'used',
    ]);
    const claims = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? one : two).bucket.claim('b'));
    expect((await Promise.all(claims)).filter((claim) => claim === 'first')).toHaveLength(1);
    expect([one.lines, one.bucket.isShared]).toEqual([[SHARED], true]);
  });

  it('whose key an operator deleted is still used', async () => {
    const nats = await startNats({ jetStream: true });
    const { bucket } = await startBucket(nats);
    await bucket.claim('a');
    await (await new Kvm(await connected(nats)).open(TICKET_BUCKET)).delete('a');
    expect(await bucket.claim('a')).toBe('used');
  });

  it('is not taken while NATS is away, nor asked about, and nothing is sent later that would use it up', async () => {
    const nats = await startNats({ jetStream: true });
    const { bucket, lines, statuses } = await startBucket(nats);
    expect(await bucket.claim('before')).toBe('first');
    await nats.stop();
    await poll('the loss to be noticed', () => statuses.includes('disconnect'));
    expect([await bucket.claim('a'), lines]).toEqual(['unavailable', [SHARED]]);
    await nats.start();
    await poll('the connection to be back', () => statuses.includes('reconnect'));
    expect([await bucket.claim('a'), await bucket.claim('before')]).toEqual(['first', 'used']);
  });
});

describe('the bucket', () => {
  it('that is deleted is made anew; tickets are refused until then', async () => {
    const nats = await startNats({ jetStream: true });
    const { bucket, clock, logged } = await startBucket(nats);
    await bucket.claim('a');
    await (await jetstreamManager(await connected(nats))).streams.delete(`KV_${TICKET_BUCKET}`);
    expect([await bucket.claim('b'), await bucket.claim('b')]).toEqual(['unavailable', 'unavailable']);
    expect([logged(LOST), bucket.isShared]).toEqual([1, false]);
    clock.advance(1000);
    expect([await bucket.claim('b'), bucket.isShared]).toEqual(['first', true]);
  });

  it('that forgets too soon is told to remember; where that cannot be, tickets are refused', async () => {
    const config = permissions('publish: { deny: "$JS.API.STREAM.UPDATE.>" }');
    const nats = await startNats({ jetStream: true, config });
    const owner = await connected(nats, OPERATOR);
    await new Kvm(owner).create(TICKET_BUCKET, { ttl: TTL_MS - 1000 });
    const weak = await startBucket(nats, SIDESTREAM);
    expect([await weak.bucket.claim('a'), weak.logged(LOST)]).toEqual(['unavailable', 1]);
    const strong = await startBucket(nats, OPERATOR);
    expect(await strong.bucket.claim('a')).toBe('first');
    const { config: made } = await (await jetstreamManager(owner)).streams.info(`KV_${TICKET_BUCKET}`);
    expect(made.max_age).toBe(TTL_MS * 1e6);
  });

  it.each<[string, Partial<StreamConfig>, string]>([
    ['in memory', { storage: StorageType.Memory }, 'storage file'],
    ['only what somebody waits for', { retention: RetentionPolicy.Interest }, 'with limits'],
    ['only what is waited for, once', { retention: RetentionPolicy.Workqueue }, 'with limits'],
    ['the newest thousand', { discard: DiscardPolicy.Old, max_msgs: 1000 }, 'discard new'],
    ['the newest megabyte', { discard: DiscardPolicy.Old, max_bytes: 1_000_000 }, 'discard new'],
  ])(
    'that others made so that it keeps values %s: tickets are refused, and the log says why',
    async (_, config, remedy) => {
      const nats = await startNats({ jetStream: true });
      await makeBucket(nats, config);
      const { bucket, lines, errors } = await startBucket(nats);
      expect([await bucket.claim('a'), await bucket.claim('a'), lines]).toEqual([
        'unavailable',
        'unavailable',
        [LOST],
      ]);
      expect(errors[0]).toContain(remedy);
    },
  );

  it('that others made with a bound is good until it is full; then tickets are refused', async () => {
    const nats = await startNats({ jetStream: true });
    await makeBucket(nats, { discard: DiscardPolicy.New, max_msgs: 1 });
    const { bucket, clock } = await startBucket(nats);
    expect([await bucket.claim('a'), await bucket.claim('b')]).toEqual(['first', 'unavailable']);
    clock.advance(1000);
    expect([await bucket.claim('a'), await bucket.claim('b')]).toEqual(['used', 'unavailable']);
  });

  it('that may be read and not written: tickets are refused', async () => {
    const nats = await startNats({ jetStream: true, config: permissions('publish: { deny: "$KV.>" }') });
    const { bucket, logged } = await startBucket(nats, SIDESTREAM);
    expect([await bucket.claim('a'), logged(LOST)]).toEqual(['unavailable', 1]);
  });
});

describe('without JetStream', () => {
  it('an instance is alone, which is said once', async () => {
    const nats = await startNats();
    const { bucket, lines } = await startBucket(nats);
    expect([await bucket.claim('a'), await bucket.claim('a')]).toEqual(['alone', 'alone']);
    bucket.reconnected();
    expect(await bucket.claim('a')).toBe('alone');
    expect([lines, bucket.isShared]).toEqual([[ALONE], false]);
  });

  it('that we may use, it is the same', async () => {
    for (const denied of ['$JS.API.>', '$JS.API.STREAM.CREATE.>']) {
      const config = permissions(`publish: { deny: "${denied}" }`);
      const { bucket, lines } = await startBucket(await startNats({ jetStream: true, config }), SIDESTREAM);
      expect([await bucket.claim('a'), lines], denied).toEqual(['alone', [ALONE]]);
    }
  });

  it('for the moment: whoever brings a ticket ten seconds later finds out whether there is one now', async () => {
    const nats = await startNats();
    const { bucket, clock, lines } = await startBucket(nats);
    expect(await bucket.claim('a')).toBe('alone');
    await answerNotNow(nats);
    clock.advance(9999);
    expect(await bucket.claim('b')).toBe('alone');
    clock.advance(1);
    expect([await bucket.claim('c'), lines]).toEqual(['unavailable', [ALONE, LOST]]);
  });

  it('that is only not ready yet, tickets are refused: somebody else may be asked soon', async () => {
    const nats = await startNats();
    await answerNotNow(nats);
    const { bucket, lines } = await startBucket(nats);
    expect([await bucket.claim('a'), lines]).toEqual(['unavailable', [LOST]]);
  });

  it('any more, tickets are refused: others may have taken them; and with it again they are taken', async () => {
    const jetStream = `jetstream { store_dir: "${temporaryFolder()}" }`;
    const nats = await startNats({ config: jetStream });
    const { bucket, clock, logged } = await startBucket(nats);
    expect(await bucket.claim('a')).toBe('first');
    nats.configure('');
    await nats.restart();
    await poll('it to be noticed', async () => {
      clock.advance(1000);
      return (await bucket.claim('b')) === 'unavailable' && logged(LOST) === 1;
    });
    clock.advance(1000);
    expect([await bucket.claim('b'), logged(ALONE)]).toEqual(['unavailable', 0]);
    nats.configure(jetStream);
    await nats.restart();
    await poll('it to be back', async () => {
      clock.advance(1000);
      return (await bucket.claim('b')) === 'first';
    });
    expect(await bucket.claim('a')).toBe('used');
  });

  it('before, and with it after a restart of NATS, instances tell each other from then on', async () => {
    const nats = await startNats();
    const { bucket } = await startBucket(nats);
    expect(await bucket.claim('a')).toBe('alone');
    nats.configure(`jetstream { store_dir: "${temporaryFolder()}" }`);
    await nats.restart();
    await poll('JetStream to be found', () => bucket.isShared);
    expect([await bucket.claim('b'), await bucket.claim('b')]).toEqual(['first', 'used']);
  });
});

describe('one that has let go of NATS', () => {
  it('takes no ticket and says nothing', async () => {
    const nats = await startNats({ jetStream: true });
    const { bucket, connection, lines } = await startBucket(nats);
    await bucket.claim('a');
    bucket.stop();
    await connection.close();
    expect([await bucket.claim('b'), lines]).toEqual(['unavailable', [SHARED]]);
  });
});
