import { readFileSync } from 'node:fs';
import type { NatsConnection } from '@nats-io/transport-node';
import { expect } from 'vitest';
import { parse } from 'yaml';
import { startBridge, type TestBridge } from '../support/bridge.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import type { StreamClient } from '../support/stream-client.ts';
import { bearer, SECRET, signed } from './protected.ts';

export const OPS_TOKEN = 'the-token-of-the-operators';
export const CONTROL_PAGE = readFileSync(new URL('../../docs/control.md', import.meta.url), 'utf8');
const [, CONFIG = ''] = /^```yaml\n([\s\S]*?)^```$/m.exec(CONTROL_PAGE) ?? [];
const TARGET = '/events?channels=chat-lobby,user-42-notifications';
const HEADERS = { Authorization: `Bearer ${OPS_TOKEN}` };

type Json = Readonly<Record<string, unknown>>;

/** Two instances on one NATS with the config that docs/control.md shows, which know each other and are ready to be called. */
export interface Pair {
  readonly nats: NatsServer;
  readonly connection: NatsConnection;
  readonly bridges: readonly [TestBridge, TestBridge];
  /** The id of one of them. */
  readonly instance: string;
  readonly visitor: Visitor;
}

/** Calls an operation that reads, over HTTP. */
export async function get(bridge: TestBridge, name: string, fields: Json = {}): Promise<Json> {
  const query = new URLSearchParams(
    Object.entries(fields).map(([key, value]): [string, string] => [key, String(value)]),
  );
  return (await fetch(`${bridge.opsUrl}/api/${name}?${query}`, { headers: HEADERS })).json() as Promise<Json>;
}

/** Calls one that does something. */
export async function post(bridge: TestBridge, name: string, fields: Json = {}): Promise<Json> {
  const init = { headers: HEADERS, method: 'POST', body: Buffer.from(JSON.stringify(fields)) };
  return (await fetch(`${bridge.opsUrl}/api/${name}`, init)).json() as Promise<Json>;
}

/** The stream of user 42 that the page is about: opened again where a call ended it. */
export class Visitor {
  readonly #bridge: TestBridge;
  #stream: StreamClient | undefined;
  #id = '';

  constructor(bridge: TestBridge) {
    this.#bridge = bridge;
  }

  /** The id of a stream that is open now. */
  async connection(): Promise<string> {
    const known =
      this.#id === '' ? { error: {} } : await get(this.#bridge, 'connection', { connection: this.#id });
    if (!('error' in known)) return this.#id;
    this.#stream?.destroy();
    this.#stream = await this.#bridge.request(TARGET, bearer(await signed({ sub: '42' })));
    this.#id = JSON.parse((await this.#stream.next('sidestream.open')).data).connection;
    return this.#id;
  }
}

export async function startPair(): Promise<Pair> {
  const nats = await startNats({ jetStream: true });
  const { connection } = await startPublisher(nats);
  const stream = { name: 'NOTIFY', subjects: ['notify.>'], storage: 'memory' };
  const made = await connection.request('$JS.API.STREAM.CREATE.NOTIFY', JSON.stringify(stream));
  expect(made.json()).not.toHaveProperty('error');
  const text = CONFIG.replaceAll(`\${OPS_TOKEN}`, OPS_TOKEN).replaceAll(`\${JWT_SECRET}`, SECRET);
  const config = { ...parse(text), drain: { timeout: '100ms' } };
  const bridges = [await startBridge({ nats, config }), await startBridge({ nats, config })] as const;
  const instance = await poll('both to know each other', async () => {
    const [{ list: first }, { list: second }] = [
      await get(bridges[0], 'instances'),
      await get(bridges[1], 'instances'),
    ];
    return isPair(first) && isPair(second) && first[0].instance;
  });
  await poll('the service', () =>
    connection.request('sidestream.api.instances', '{}').catch(() => undefined),
  );
  return { nats, connection, bridges, instance, visitor: new Visitor(bridges[0]) };
}

function isPair(list: unknown): list is [{ instance: string }, unknown] {
  return Array.isArray(list) && list.length === 2;
}
