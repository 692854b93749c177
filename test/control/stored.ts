import { jetstreamManager } from '@nats-io/jetstream';
import { type KV, Kvm, type KvOptions } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { systemClock } from '../../src/clock.ts';
import { keyOf } from '../../src/control/revocation/record.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { BUCKET, startPersistent } from './running.ts';

/** The bucket as an operator sees it. */
export async function openBucket(connection: NatsConnection): Promise<KV> {
  return new Kvm(connection).open(BUCKET);
}

export async function deleteBucket(connection: NatsConnection): Promise<void> {
  await (await jetstreamManager(connection)).streams.delete(`KV_${BUCKET}`);
}

/** What the bucket holds, by key. */
export async function stored(connection: NatsConnection): Promise<Map<string, Record<string, unknown>>> {
  const kv = await openBucket(connection);
  const found = new Map<string, Record<string, unknown>>();
  for await (const key of await kv.keys()) {
    const entry = await kv.get(key);
    if (entry !== null) found.set(key, entry.json());
  }
  return found;
}

export const MEMORY_ONLY =
  'no JetStream that we may use: revocations are kept in memory only and end with this process';
export const KEPT = 'revocations are kept in NATS, in a key-value bucket';
export const LOST =
  'the bucket of revocations cannot be used; they are kept in memory meanwhile, and written when it is back';
export const LEARNED = 'revocations learned from NATS';

export const userKey = (user: string) => keyOf({ user, issuedBeforeMs: 0 });

export async function startWithBackend() {
  const nats = await startNats({ jetStream: true });
  const running = await startPersistent(nats);
  return { nats, ...running, backend: await operator(nats) };
}

export async function operator(nats: NatsServer, login = {}): Promise<NatsConnection> {
  const { connection } = await startPublisher(nats, login);
  return connection;
}

/** An instance that hears no command: the bucket is all it has. */
export async function deaf(nats: NatsServer) {
  return startPersistent(nats, { prefix: 'elsewhere', instance: 'deaf' });
}

export async function createBucket(connection: NatsConnection, options: Partial<KvOptions>) {
  return new Kvm(connection).create(BUCKET, options);
}

/** A user's value in the bucket, as another instance writes it. Times in seconds. */
export function record(user: string, issuedBefore = now(), expires = now() + 600): string {
  return JSON.stringify({ user, issuedBeforeMs: issuedBefore * 1000, untilMs: expires * 1000 });
}

export function now(): number {
  return Math.floor(systemClock.wall() / 1000);
}

/** Holds back the next request whose subject begins so. */
export function hold(connection: NatsConnection, prefix: string) {
  const ask = connection.request.bind(connection);
  let free: (() => void) | undefined;
  connection.request = async (subject, ...rest) => {
    if (free === undefined && subject.startsWith(prefix)) {
      await new Promise<void>((resolve) => {
        free = resolve;
      });
    }
    return ask(subject, ...rest);
  };
  /** Waits until one is held; gives what lets it go. */
  return { held: () => poll(`a request to ${prefix}`, () => free) };
}

/** Has every question to JetStream go where nobody answers, until `back` is called. */
export function loseJetStream(connection: NatsConnection) {
  const ask = connection.request.bind(connection);
  connection.request = (subject, ...rest) => ask(subject.replace(/^\$JS\.API/, 'nobody'), ...rest);
  return {
    back: () => {
      connection.request = ask;
    },
  };
}

/** Sees the requests go by whose subject begins so. */
export function watchRequests(connection: NatsConnection, prefix: string) {
  const ask = connection.request.bind(connection);
  let count = 0;
  connection.request = (subject, ...rest) => {
    if (subject.startsWith(prefix)) count += 1;
    return ask(subject, ...rest);
  };
  return {
    /** Waits for a few more: whatever the first of them is to find was there before it. */
    more: async () => {
      const before = count;
      await poll(`more requests to ${prefix}`, () => count > before + 3);
    },
  };
}
