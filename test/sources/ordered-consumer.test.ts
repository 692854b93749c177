import type { JetStreamManager } from '@nats-io/jetstream';
import { headers, type Msg, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { TimerWheel } from '../../src/clock.ts';
import { OrderedConsumer } from '../../src/sources/ordered-consumer.ts';
import { ManualClock } from '../support/clock.ts';

/** A consumer on a connection that a test speaks for; what it tells is noted. */
async function setUp() {
  const noted: string[] = [];
  const published: string[] = [];
  let inbox = '';
  let receive: (error: Error | null, message: Msg) => void = () => {};
  const connection: unknown = {
    subscribe: (subject: string, { callback }: { callback: typeof receive }) => {
      [inbox, receive] = [subject, callback];
      return { unsubscribe: () => {} };
    },
    publish: (subject: string) => void published.push(subject),
  };
  const consumers = {
    add: async () => ({ name: 'c', config: {}, delivered: { stream_seq: 0 }, num_pending: 0 }),
  };
  const manager: unknown = { consumers };
  const consumer = new OrderedConsumer({
    connection: connection as NatsConnection,
    wheel: new TimerWheel(new ManualClock()),
    stream: 'ORDERS',
    start: { at: 'end' },
    filters: [],
    heartbeatMs: 1_000,
    receiver: {
      message: (_, { offset }) => void noted.push(`message ${offset}`),
      idle: (offset) => void noted.push(`idle ${offset}`),
    },
  });
  void consumer.ended.then((reason) => noted.push(reason));
  await consumer.open(manager as JetStreamManager);
  const give = (subject: string, reply: string, block?: MsgHdrs) =>
    receive(null, { subject, reply, headers: block } as Msg);
  return {
    published,
    /** One message, and what is told of it by the reply subject. */
    message: (count: number, offset: number) =>
      give('orders.1', `$JS.ACK.ORDERS.c.1.${offset}.${count}.1700000000000000000.0`),
    heartbeat: (fields: Readonly<Record<string, string>>) => {
      const block = headers(100, 'Idle Heartbeat');
      for (const [name, value] of Object.entries(fields)) block.set(name, value);
      give(inbox, '', block);
    },
    /** All that was told, once promises have settled. */
    noted: async () => {
      await new Promise((resolve) => setImmediate(resolve));
      return noted;
    },
  };
}

describe('an ordered consumer', () => {
  it('takes a heartbeat behind its newest message for the word that nothing else came', async () => {
    const { message, heartbeat, noted } = await setUp();
    message(1, 7);
    heartbeat({ 'Nats-Last-Consumer': '1', 'Nats-Last-Stream': '12' });
    expect(await noted()).toEqual(['message 7', 'idle 12']);
  });

  it('is over where a heartbeat counts messages that did not come', async () => {
    const { message, heartbeat, noted } = await setUp();
    message(1, 7);
    heartbeat({ 'Nats-Last-Consumer': '2', 'Nats-Last-Stream': '12' });
    message(2, 12);
    expect(await noted()).toEqual(['message 7', 'a message is missing']);
  });

  it('is over where a message did not come', async () => {
    const { message, noted } = await setUp();
    message(2, 7);
    expect(await noted()).toEqual(['a message is missing']);
  });

  it('takes no position from a server that waits for an answer, and answers', async () => {
    const { message, heartbeat, noted, published } = await setUp();
    message(1, 7);
    const stalled = { 'Nats-Last-Consumer': '1', 'Nats-Last-Stream': '12', 'Nats-Consumer-Stalled': 'fc.1' };
    heartbeat(stalled);
    expect([await noted(), published]).toEqual([['message 7'], ['fc.1']]);
    heartbeat(stalled);
    heartbeat(stalled);
    expect(await noted()).toEqual(['message 7', 'flow control is not answered']);
  });
});
