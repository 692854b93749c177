import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { type FileConfig, startBridge, type TestBridge } from '../support/bridge.ts';
import { type NatsOptions, type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { type Publisher, startPublisher } from '../support/publisher.ts';

/** An answer's fields, to be compared whole or in part. */
export type Answer = Readonly<Record<string, unknown>>;

/** Calls an operation that must be granted; its answer. */
export async function call(bridge: TestBridge, operation: string, fields: Answer = {}): Promise<Answer> {
  const outcome = await bridge.call(operation, fields);
  if (!outcome.ok) throw new Error(`${operation}: ${outcome.error.code}: ${outcome.error.message}`);
  return outcome.answer;
}

/** Calls an operation that must be refused; the code. */
export async function refusal(bridge: TestBridge, operation: string, fields: Answer = {}): Promise<string> {
  const outcome = await bridge.call(operation, fields);
  if (outcome.ok) throw new Error(`${operation} was granted: ${JSON.stringify(outcome.answer)}`);
  return outcome.error.code;
}

export interface Pair {
  readonly nats: NatsServer;
  readonly publisher: Publisher;
  readonly jsm: JetStreamManager;
  readonly first: TestBridge;
  readonly second: TestBridge;
}

/** Waits until each of them knows so many instances. */
export async function acquainted(bridges: readonly TestBridge[], count = bridges.length): Promise<void> {
  for (const bridge of bridges)
    await poll(`${count} instances to know of each other`, async () => {
      const { list } = await call(bridge, 'instances');
      return Array.isArray(list) && list.length === count;
    });
}

/** Two bridges on one NATS with JetStream, that know of each other. `prepare` makes the streams first. */
export async function startPair(
  config: FileConfig,
  prepare: (jsm: JetStreamManager) => Promise<unknown> = async () => undefined,
  options: NatsOptions = {},
): Promise<Pair> {
  const nats = await startNats({ jetStream: true, ...options });
  const publisher = await startPublisher(nats);
  const jsm = await jetstreamManager(publisher.connection);
  await prepare(jsm);
  const first = await startBridge({ nats, config });
  const second = await startBridge({ nats, config });
  await acquainted([first, second]);
  return { nats, publisher, jsm, first, second };
}
