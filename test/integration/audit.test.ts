import { expect, it } from 'vitest';
import { SPECS } from '../../src/control/operations/all.ts';
import type { LogLine } from '../support/bridge.ts';
import { poll } from '../support/poll.ts';
import { OPS_TOKEN, type Pair, startPair } from './pair.ts';

const ACTING = SPECS.filter(({ kind }) => kind !== 'read');
const HEADERS = {
  Authorization: `Bearer ${OPS_TOKEN}`,
  'Content-Type': 'application/json',
  'Sidestream-Caller': 'desk',
};

function linesOf({ bridges }: Pair): LogLine[] {
  return bridges.flatMap(({ logs }) => logs).filter(({ message }) => message === 'control');
}

function post({ bridges }: Pair, operation: string, fields: object): Promise<Response> {
  const body = JSON.stringify(fields);
  return fetch(`${bridges[0].opsUrl}/api/${operation}`, { method: 'POST', headers: HEADERS, body });
}

it('every operation that does something says in the log whom it is about', () => {
  expect(ACTING.filter(({ target }) => target === undefined).map(({ name }) => name)).toEqual([]);
});

it('over HTTP the log has who called, from where, what and whom, done or refused', async () => {
  const pair = await startPair();
  for (const { name } of ACTING) expect((await post(pair, name, { nonsense: 1 })).status).toBe(400);
  expect((await post(pair, 'publish', { channel: 'chat-lobby', data: 'x' })).status).toBe(200);
  const messages = [
    { channel: 'chat-lobby', data: 'x' },
    { user: { toString: 1 } },
    null,
    { channel: 'nowhere', data: 'y' },
  ];
  expect((await post(pair, 'publishBatch', { messages })).status).toBe(200);
  expect((await post(pair, 'disconnect', { connection: 'nobody' })).status).toBe(404);
  const caller = { via: 'http', address: '127.0.0.1', caller: 'desk' };
  const lines = linesOf(pair).filter(({ level }) => level === 'info');
  expect(lines).toMatchObject([
    ...ACTING.map(({ name }) => ({ ...caller, operation: name, outcome: 'CONTROL_INVALID' })),
    { ...caller, operation: 'publish', target: { channel: 'chat-lobby' }, outcome: 'ok' },
    {
      ...caller,
      operation: 'publishBatch',
      target: { messages: 4, to: ['channel chat-lobby', 'user', 'nobody', 'channel nowhere'] },
      result: { accepted: 1, refused: 3 },
    },
    { ...caller, operation: 'disconnect', target: { connection: 'nobody' }, outcome: 'CONNECTION_NOT_FOUND' },
  ]);
});

it('a command for single streams has a line on every instance, with whom it is for', async () => {
  const pair = await startPair();
  pair.connection.publish('sidestream.control.send', JSON.stringify({ user: '42', data: 'x' }));
  const lines = await poll('both lines', () => {
    const found = linesOf(pair).filter(({ operation }) => operation === 'send');
    return found.length === 2 && found;
  });
  for (const line of lines)
    expect(line).toMatchObject({ via: 'command', target: { user: '42' }, outcome: 'ok' });
});
