import { expect, it } from 'vitest';
import { audit } from '../../src/control/audit.ts';
import { callerHeaders, readCaller } from '../../src/control/caller.ts';
import { createLog } from '../../src/log.ts';

const read = (fields: Readonly<Record<string, string>>) =>
  readCaller((name) => fields[name] ?? '', { has: (instance) => instance === 'known' });

it('who called is told to the other instances', () => {
  const caller = { via: 'http', name: 'ann', address: '10.0.0.1' } as const;
  const headers = { ...callerHeaders(caller), 'Sidestream-Coordinator': 'known' };
  expect(read(headers)).toEqual({ ...caller, coordinator: 'known' });
});

it('who says that an instance coordinates it which nobody knows has sent a command', () => {
  const headers = {
    'Sidestream-Coordinator': 'unknown',
    'Sidestream-Via': 'http',
    'Sidestream-Caller': 'eve',
  };
  expect(read(headers)).toEqual({ via: 'command', name: 'eve' });
  expect(read({})).toEqual({ via: 'command' });
});

it('what callers say of themselves drives no terminal', () => {
  const lines: string[] = [];
  const log = createLog({ level: 'info', format: 'json' }, { write: (line) => lines.push(line) });
  const evil = 'a\u009b2J\u202e';
  audit(log, 'info', {
    spec: { name: 'x', kind: 'act', target: () => ({ user: evil, list: [evil] }) },
    caller: { via: 'nats', name: evil, address: evil, coordinator: evil },
    input: {},
    outcome: { ok: true, answer: { said: evil } },
    durationMs: 1,
  });
  expect(lines.length).toBe(1);
  expect(lines[0]).not.toMatch(/[\u009b\u202e]/);
});
