import { type SpawnOptions, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startBridge } from '../support/bridge.ts';
import { guard } from '../support/guard.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';

/** How one is run, or why it is not; `npm test` and `npm run test:release` make them ready (deploy/dev/publishers.mjs). */
interface Prepared {
  readonly why?: string;
  readonly run: readonly string[];
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Maven and a busy machine take their time; what is promised is that it comes. */
const PATIENCE_MS = 120_000;

const LANGUAGES = ['node', 'python', 'go', 'java', 'rust', 'php', 'csharp'] as const;
const HERE: Record<string, Prepared> = {
  // It finds its packages in ours: the same versions, as test/publishers/docs.test.ts holds.
  node: {
    run: [process.execPath, 'publish.mjs'],
    cwd: fileURLToPath(new URL('../../deploy/publishers/node', import.meta.url)),
  },
  ...JSON.parse(process.env.SIDESTREAM_PUBLISHERS ?? '{}'),
};

const CHANNELS = {
  prices: {
    channel: 'prices.{symbol}',
    subject: 'market.prices.{symbol}',
    access: 'public',
    event: 'price',
  },
  orders: {
    channel: 'orders.{id}',
    subject: 'orders.{id}',
    stream: 'ORDERS',
    access: 'public',
    event: 'order',
  },
};

/** Runs one to its end. */
async function publish(
  { run, cwd, env }: Prepared,
  url: string,
): Promise<{ code: number | null; out: string }> {
  const [program = '', ...args] = run;
  const options: SpawnOptions = {
    cwd,
    env: { ...process.env, ...env, NATS_URL: url },
    stdio: ['ignore', 'pipe', 'pipe'],
  };
  const child = spawn(program, args, options);
  guard(child);
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  let out = '';
  child.stdout?.on('data', (text: Buffer) => {
    out += text;
  });
  child.stderr?.on('data', (text: Buffer) => {
    out += text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    // Maven resets the terminal's colours, whatever it is told of them.
    child.once('close', (code) => resolve({ code, out: stripVTControlCharacters(out) }));
  });
}

/** Anybody may do anything but publish prices. */
const NOT_PERMITTED = `
  accounts { A {
    jetstream: enabled
    users: [{ user: any, password: any, permissions: { publish: { deny: ["market.>"] } } }]
  } }
  no_auth_user: any`;

/** Makes the stream; gives the connection by which that was done. */
async function makeStream(nats: NatsServer): Promise<NatsConnection> {
  const connection = await connect({ servers: nats.url });
  onTestFinished(() => connection.close());
  await (await jetstreamManager(connection)).streams.add({ name: 'ORDERS', subjects: ['orders.>'] });
  return connection;
}

/** A bridge with a stream to read, a browser on both channels, and the names of headers that were published. */
async function audience() {
  const nats = await startNats({ jetStream: true });
  const connection = await makeStream(nats);
  const traces: string[] = [];
  connection.subscribe('market.prices.>', {
    callback: (_, { headers }) => {
      if (headers?.has('traceparent')) traces.push(headers.get('traceparent'));
    },
  });
  await connection.flush();
  const bridge = await startBridge({ nats, config: { channels: CHANNELS } });
  const stream = await bridge.stream('/events?channels=prices.ACME,orders.7');
  return { nats, bridge, stream, traces, connection };
}

const PRICE = { event: 'price', data: '{"price":101.25}' };
const HALTED = { event: 'halted', data: '{"until":"15:30"}' };
const PAID = { event: 'order', data: '{"state":"paid"}' };
const shown = (events: readonly { event: string; data: string }[]) =>
  events.map(({ event, data }) => ({ event, data }));

const whyNot = (language: string) =>
  HERE[language] === undefined ? 'not made ready by this run' : HERE[language].why;

for (const language of LANGUAGES) {
  const why = whyNot(language);
  if (why !== undefined) console.warn(`The ${language} publisher was not run: ${why}.`);
}

describe.each(LANGUAGES)('the %s publisher', (language) => {
  const prepared = HERE[language];
  if (prepared === undefined || prepared.why !== undefined) {
    it.skip(`does not run here: ${whyNot(language)}`, () => {});
    return;
  }

  it(
    'reaches a browser with names and data, and published twice only what may come twice',
    async () => {
      const { nats, bridge, stream, traces, connection } = await audience();
      expect(await publish(prepared, nats.url)).toEqual({ code: 0, out: 'ORDERS 1\n' });
      const first = shown(await stream.take(3));
      expect(first.filter(({ event }) => event !== 'order')).toEqual([PRICE, HALTED]);
      expect(first).toContainEqual(PAID);

      expect(await publish(prepared, nats.url)).toEqual({ code: 0, out: 'ORDERS 1 duplicate\n' });
      connection.publish('market.prices.ACME', 'the end');
      const second = shown(await stream.until(({ data }) => data === 'the end'));
      expect(second).toEqual([PRICE, { event: 'price', data: 'the end' }]);

      expect(traces).toEqual(Array(2).fill('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'));
      const fields = ['event', 'ttl', 'priority'].map((field) =>
        bridge.sample(`sidestream_message_fields_dropped_total{route="prices",field="${field}"}`),
      );
      expect(await Promise.all(fields)).toEqual([0, 0, 0]);
    },
    PATIENCE_MS,
  );

  it(
    'fails where no stream takes what must not be lost',
    async () => {
      const { code, out } = await publish(prepared, (await startNats()).url);
      expect(code).not.toBe(0);
      expect(out).not.toMatch(/^ORDERS/m);
    },
    PATIENCE_MS,
  );

  it(
    'tells of what the server does not permit',
    async () => {
      const nats = await startNats({ jetStream: true, config: NOT_PERMITTED });
      await makeStream(nats);
      expect((await publish(prepared, nats.url)).out).toMatch(/permissions? violation/i);
    },
    PATIENCE_MS,
  );
});
