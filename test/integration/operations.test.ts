import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, it } from 'vitest';
import { SPECS } from '../../src/control/operations/all.ts';
import { get, type Pair, post, startPair } from './pair.ts';

type Json = Readonly<Record<string, unknown>>;

/** What each operation is called with, of the channels and the user of docs/control.md. A new one needs a line here. */
const CALLS: Readonly<Record<string, (known: { connection: string; instance: string }) => Json>> = {
  stats: () => ({}),
  channels: () => ({ limit: 10 }),
  channel: () => ({ channel: 'chat-lobby' }),
  connections: () => ({ user: '42' }),
  connection: ({ connection }) => ({ connection }),
  instances: () => ({}),
  presence: () => ({ channel: 'chat-lobby' }),
  revoke: () => ({ tokenId: 'nobody-has-it' }),
  subscribe: ({ connection }) => ({ connection, channels: ['chat-annex'] }),
  unsubscribe: ({ connection }) => ({ connection, channels: ['chat-annex'] }),
  disconnect: ({ connection }) => ({ connection }),
  publish: () => ({ channel: 'chat-lobby', data: 'hello' }),
  publishBatch: () => ({
    messages: [
      { channel: 'chat-lobby', data: 'hello' },
      { channel: 'nowhere', data: '' },
    ],
  }),
  create: () => ({ channel: 'chat-made', timeout: '30m' }),
  list: () => ({ limit: 10 }),
  close: () => ({ channel: 'chat-made' }),
  inbox: () => ({ user: '42' }),
  unread: () => ({ user: '42' }),
  read: () => ({ user: '42', all: true }),
  drain: ({ instance }) => ({ instance }),
};

const API = JSON.parse(readFileSync(new URL('../../docs/openapi.json', import.meta.url), 'utf8'));
const ajv = new Ajv2020({ strict: false, formats: { 'date-time': true } }).addSchema(API, 'api');

/** What is wrong with an answer, by what docs/openapi.json says of it. */
function wrongWith(name: string, status: string, answer: Json): unknown {
  const [method = ''] = Object.keys(API.paths[`/api/${name}`]);
  const place = `#/paths/~1api~1${name}/${method}/responses/${status}/content/application~1json/schema`;
  const validate = ajv.getSchema(`api${place}`);
  if (validate === undefined) throw new Error(`${place} is not there`);
  return validate(answer) ? undefined : validate.errors;
}

const SIDES: Readonly<
  Record<string, (pair: Pair, name: string, kind: string, fields: Json) => Promise<Json>>
> = {
  'the first instance': ({ bridges }, name, kind, fields) =>
    kind === 'read' ? get(bridges[0], name, fields) : post(bridges[0], name, fields),
  'the other instance': ({ bridges }, name, kind, fields) =>
    kind === 'read' ? get(bridges[1], name, fields) : post(bridges[1], name, fields),
  NATS: async ({ connection }, name, _, fields) =>
    (await connection.request(`sidestream.api.${name}`, JSON.stringify(fields), { timeout: 5000 })).json(),
};

it('every operation is called here', () => {
  expect(SPECS.map(({ name }) => name).filter((name) => CALLS[name] === undefined)).toEqual([]);
});

it.each(Object.keys(SIDES))(
  'every operation is done, and answers as openapi.json says, by way of %s',
  async (side) => {
    const pair = await startPair();
    const failed: unknown[] = [];
    // What ends everything comes last.
    const last = ({ name }: { readonly name: string }) => Number(name === 'drain');
    for (const spec of [...SPECS].sort((a, b) => last(a) - last(b))) {
      const { name, kind, fansOut } = spec;
      const known = { connection: await pair.visitor.connection(), instance: pair.instance };
      const fields = CALLS[name]?.(known) ?? {};
      const answer = (await SIDES[side]?.(pair, name, kind, fields)) ?? {};
      const wrong = wrongWith(name, '200', answer);
      if (wrong !== undefined) failed.push([name, answer, wrong]);
      if (fansOut) expect([name, answer.instances]).toMatchObject([name, { missing: [] }]);
    }
    expect(failed).toEqual([]);
  },
  60_000,
);

it('a refusal is the same from every side, and as openapi.json says', async () => {
  const pair = await startPair();
  for (const call of Object.values(SIDES)) {
    const unknown = await call(pair, 'connection', 'read', { connection: 'nobody' });
    expect(unknown).toMatchObject({ error: { code: 'CONNECTION_NOT_FOUND' } });
    expect(wrongWith('connection', '404', unknown)).toBeUndefined();
    expect(
      await call(pair, 'publish', 'publish', { channel: 'chat-lobby', data: '', nonsense: 1 }),
    ).toMatchObject({
      error: { code: 'CONTROL_INVALID' },
    });
  }
});
