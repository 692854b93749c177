import { describe, expect, it } from 'vitest';
import { ChannelBook } from '../../src/control/channels/channel-book.ts';
import { ChannelExpiry } from '../../src/control/channels/channel-expiry.ts';
import type { Decide } from '../../src/control/channels/channel-keeper.ts';
import type { ChannelRecord } from '../../src/control/channels/channel-record.ts';
import { createLog } from '../../src/log.ts';
import { Router } from '../../src/routing/router.ts';
import { ManualClock } from '../support/clock.ts';
import { routeConfig } from '../support/route.ts';

const CHANNEL = 'room-1';
const ROUTES = { rooms: routeConfig({ channel: 'room-{id}', subject: 'rooms.{id}', dynamic: true }) };

/** What a bucket is to instances that share it. */
class SharedBucket {
  record: ChannelRecord | undefined;
  revision = 0;
  readonly books: ChannelBook[] = [];

  put(record: ChannelRecord): void {
    this.record = record;
    this.revision += 1;
    for (const book of this.books) book.take(record, this.revision);
  }

  async change(_channel: string, decide: Decide) {
    const record = decide(this.record);
    const isWritten = record !== this.record;
    if (isWritten) this.put(record);
    return { record, isWritten };
  }
}

class Instance {
  readonly book: ChannelBook;
  readonly expiry: ChannelExpiry;
  readonly ears = new Map<string, () => void>();
  isJudge = false;
  subscribers = 0;
  peers: readonly unknown[] = [];

  constructor(clock: ManualClock, bucket: SharedBucket) {
    const router = new Router(ROUTES);
    this.book = new ChannelBook({ clock, router, ended: () => undefined });
    this.book.loaded();
    bucket.books.push(this.book);
    const self = this;
    this.expiry = new ChannelExpiry({
      book: this.book,
      keeper: {
        change: (...change) => bucket.change(...change),
        remove: async () => undefined,
        forget: () => undefined,
      },
      router,
      clock,
      log: createLog({ level: 'silent', format: 'json' }, { write: () => undefined }),
      subscribers: () => this.subscribers,
      peers: {
        get all() {
          return self.peers;
        },
        isResponsible: () => this.isJudge,
      },
      listen: (subject, heard) => {
        this.ears.set(subject, heard);
        return () => this.ears.delete(subject);
      },
    });
  }
}

function setUp(timeoutMs = 30_000) {
  const clock = new ManualClock();
  const bucket = new SharedBucket();
  const [judge, other] = [new Instance(clock, bucket), new Instance(clock, bucket)];
  judge.isJudge = true;
  bucket.put({ channel: CHANNEL, createdMs: clock.wall(), timeoutMs });
  /** Lets time pass, in which both look now and then. */
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 250) {
      clock.advance(250);
      for (const { expiry } of [judge, other]) expiry.step();
      await Promise.resolve();
      await Promise.resolve();
    }
  };
  return { clock, bucket, judge, other, pass, ended: () => bucket.record?.end?.as };
}

describe('a channel with a time-out', () => {
  it('expires not before it, and at most a third later, by the judge alone', async () => {
    const { pass, ended, judge, other } = setUp();
    await pass(29_750);
    expect(ended()).toBeUndefined();
    await pass(10_500);
    expect([ended(), judge.expiry.expired, other.expiry.expired]).toEqual(['expired', 1, 0]);
  });

  it('does not expire where somebody wrote down just now that it is in use', async () => {
    const { pass, bucket, judge, clock } = setUp();
    // The judge's reader is behind: its book has not got it yet.
    const renewed = { ...(bucket.record as ChannelRecord), activeMs: clock.wall() + 1 };
    bucket.record = renewed;
    await pass(60_000);
    expect([bucket.record, judge.expiry.expired]).toEqual([renewed, 0]);
  });

  it('does not expire while somebody is on it elsewhere, nor too soon after', async () => {
    const { pass, ended, other } = setUp();
    other.subscribers = 1;
    await pass(200_000);
    expect(ended()).toBeUndefined();
    other.subscribers = 0;
    await pass(29_750);
    expect(ended()).toBeUndefined();
    await pass(10_750);
    expect(ended()).toBe('expired');
  });

  it('is written about only now and then, however busy it is', async () => {
    const { pass, bucket, judge, other } = setUp();
    judge.subscribers = 5;
    other.subscribers = 5;
    const before = bucket.revision;
    await pass(100_000);
    expect(bucket.revision - before).toBeLessThanOrEqual(10);
  });

  it('that cannot be written about is not tried at every look', async () => {
    const { pass, bucket, other } = setUp();
    other.subscribers = 1;
    let tries = 0;
    bucket.change = async () => {
      tries += 1;
      throw new Error('it is full');
    };
    await pass(25_000);
    expect(tries).toBeGreaterThan(1);
    expect(tries).toBeLessThanOrEqual(5);
  });

  it('stays while something is published, which the judge hears where nobody is on it', async () => {
    const { pass, ended, judge, other } = setUp();
    for (let n = 0; n < 20; n += 1) {
      await pass(15_000);
      judge.ears.get('rooms.1')?.();
      expect(other.ears.size).toBe(0);
    }
    expect(ended()).toBeUndefined();
    judge.subscribers = 1;
    await pass(250);
    expect(judge.ears.size).toBe(0);
    judge.subscribers = 0;
    await pass(41_000);
    expect([ended(), judge.ears.size]).toEqual(['expired', 0]);
  });

  it('stays while it is published to by another instance', async () => {
    const { pass, ended, other } = setUp();
    for (let n = 0; n < 20; n += 1) {
      await pass(15_000);
      other.expiry.touch(CHANNEL);
    }
    expect(ended()).toBeUndefined();
  });

  it('is judged by another when the judge is gone', async () => {
    const { pass, ended, judge, other } = setUp();
    judge.isJudge = false;
    judge.peers = [1];
    await pass(60_000);
    expect(ended()).toBeUndefined();
    other.isJudge = true;
    other.peers = [1];
    await pass(250);
    expect(ended()).toBe('expired');
  });

  it('is not judged by what was read from the bucket before who uses it had time to write', async () => {
    const clock = new ManualClock();
    const bucket = new SharedBucket();
    const judge = new Instance(clock, bucket);
    judge.isJudge = true;
    bucket.record = { channel: CHANNEL, createdMs: clock.wall() - 1e9, timeoutMs: 60_000 };
    judge.book.take(bucket.record, 1, { isOld: true });
    const pass = async (ms: number) => {
      for (let passed = 0; passed < ms; passed += 250) {
        clock.advance(250);
        judge.expiry.step();
        await Promise.resolve();
      }
    };
    await pass(29_750);
    expect(bucket.record?.end).toBeUndefined();
    await pass(1000);
    // A channel that was long idle need not wait for its whole time-out again after a restart.
    expect(bucket.record?.end?.as).toBe('expired');
  });

  it('that is closed for a time does not expire meanwhile', async () => {
    const { pass, bucket, clock } = setUp();
    const end = { as: 'closed', atMs: clock.wall(), untilMs: clock.wall() + 100_000 } as const;
    bucket.put({ ...(bucket.record as ChannelRecord), end });
    await pass(99_000);
    expect(bucket.record?.end).toEqual(end);
    await pass(42_000);
    expect(bucket.record?.end?.as).toBe('expired');
  });
});
