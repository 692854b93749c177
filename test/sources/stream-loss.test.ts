import type { JetStreamManager, StreamConfig, StreamInfo, StreamState } from '@nats-io/jetstream';
import { describe, expect, it } from 'vitest';
import { lossAfter, newestHole, type Span } from '../../src/sources/stream-loss.ts';

/** All of a stream of 100 messages after `offset`, but for the `deleted`, of which the server lists `listed`. */
function span(
  offset: number,
  {
    first = 1,
    deleted = [],
    count = deleted.length,
    config = {},
  }: { first?: number; deleted?: number[]; count?: number; config?: Partial<StreamConfig> } = {},
): Span {
  const state: Partial<StreamState> = {
    first_seq: first,
    last_seq: 100,
    messages: 101 - first - count,
    num_deleted: count,
  };
  const whole = {
    name: 'ORDERS',
    max_age: 0,
    max_msgs: -1,
    max_bytes: -1,
    max_msgs_per_subject: -1,
    ...config,
  };
  const info = { config: whole, state } as StreamInfo;
  const manager: unknown = { streams: { info: async () => ({ ...info, state: { ...state, deleted } }) } };
  return { jsm: manager as JetStreamManager, info, offset, through: 100 };
}

describe('what a stream may have lost', () => {
  it('is nothing where all of it is there', async () => {
    expect(await lossAfter(span(0), false)).toBeUndefined();
    expect(await lossAfter(span(19, { first: 20, config: { max_msgs: 9 } }), false)).toBeUndefined();
  });

  it('ends with the newest hole, be it in front or inside', async () => {
    const holed = { first: 20, deleted: [30, 40], config: { max_msgs: 81 } };
    expect(await lossAfter(span(5, holed), false)).toEqual({ reason: 'purged', through: 40 });
    expect(await lossAfter(span(39, holed), false)).toEqual({ reason: 'purged', through: 40 });
    expect(await lossAfter(span(40, holed), false)).toBeUndefined();
    expect(await newestHole({ ...span(5, holed), through: 35 })).toBe(30);
    expect(await newestHole({ ...span(5, holed), through: 10 })).toBe(10);
  });

  it('may be anything where more was deleted than the server is asked to list', async () => {
    const holed = { deleted: [], count: 10_001 };
    expect(await lossAfter(span(5, holed), false)).toEqual({ reason: 'purged', through: 100 });
    expect(await lossAfter(span(100, holed), false)).toBeUndefined();
  });

  it('is too old where messages may end by themselves', async () => {
    for (const config of [{ allow_msg_ttl: true }, { allow_msg_ttl: true, max_msgs_per_subject: 3 }]) {
      const ended = { reason: 'too-old', through: 30 };
      expect(await lossAfter(span(5, { deleted: [30], config }), false)).toEqual(ended);
      expect(await lossAfter(span(5, { first: 31, config }), false)).toEqual(ended);
      expect(await lossAfter(span(5, { deleted: [30], config }), true)).toEqual(ended);
    }
  });

  it('is no matter of the whole stream where newer messages replace older ones of their subject', async () => {
    const config = { max_msgs_per_subject: 3 };
    expect(await lossAfter(span(5, { first: 20, deleted: [30], config }), false)).toBeUndefined();
    expect(await lossAfter(span(5, { first: 101, config }), false)).toEqual({
      reason: 'purged',
      through: 100,
    });
    const aged = { first: 20, config: { ...config, max_age: 1 } };
    expect(await lossAfter(span(5, aged), false)).toEqual({ reason: 'too-old', through: 19 });
  });

  it('is of a bucket what nothing newer can have replaced, or what its age has taken', async () => {
    const config = { max_msgs_per_subject: 1 };
    expect(await lossAfter(span(5, { first: 20, deleted: [30, 99], config }), true)).toBeUndefined();
    const purged = { deleted: [30, 100], config };
    expect(await lossAfter(span(5, purged), true)).toEqual({ reason: 'purged', through: 100 });
    expect(await lossAfter(span(100, purged), true)).toBeUndefined();
    expect(await lossAfter(span(5, { count: 10_001, config }), true)).toBeUndefined();
    const aged = { first: 20, config: { ...config, max_age: 1 } };
    expect(await lossAfter(span(5, aged), true)).toEqual({ reason: 'too-old', through: 19 });
  });
});
