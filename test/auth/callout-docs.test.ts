import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { AccessCallouts } from '../../src/auth/access-callout.ts';
import { FAULTS, readClaims } from '../../src/auth/answer.ts';
import { createCalloutVerifier } from '../../src/auth/callout.ts';
import { type TokenRequest, toIdentity } from '../../src/auth/identity.ts';
import { systemClock } from '../../src/clock.ts';
import { temporaryFolder } from '../support/folder.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { requestOver } from './backend.ts';
import { recordLog } from './recorded-log.ts';

const PAGE = readFileSync(new URL('../../docs/callouts.md', import.meta.url), 'utf8');
const NODE_MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url));
const SUBJECT = 'auth.sidestream';
const OPTIONS = { subject: SUBJECT, timeoutMs: 20_000, concurrency: 4, maxBytes: 10_000 };
const CACHE = { size: 10, allowTtlMs: 0, denyTtlMs: 0 };
const BACKEND_PASSWORD = 'theirs';
const REQUEST: TokenRequest = { address: '192.0.2.1', origin: '', userAgent: '', channels: ['chat'] };

/** The code blocks of one language, in their order. */
function blocks(language: string): string[] {
  return [...PAGE.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)]
    .filter(([, name]) => name === language)
    .map(([, , code = '']) => code);
}

/** Asks both questions; gives what was sent, and what came of it. */
async function askBoth(request: (payload: Uint8Array) => Promise<Uint8Array>, token: string) {
  const sent: unknown[] = [];
  const deps = {
    log: recordLog().log,
    clock: systemClock,
    request: (_: string, payload: Uint8Array) => {
      sent.push(JSON.parse(Buffer.from(payload).toString()));
      return request(payload);
    },
  };
  const verification = await createCalloutVerifier(OPTIONS, deps).verify(token, REQUEST);
  const callouts = new AccessCallouts({ ...OPTIONS, cache: CACHE }, deps);
  const access = await callouts.ask(SUBJECT, toIdentity({ sub: 'anna' }), 'chat', REQUEST);
  return { sent, verification, access };
}

describe('the page on callouts', () => {
  it('shows the questions with the fields that are sent', async () => {
    const { sent } = await askBoth(() => Promise.resolve(Buffer.from('{}')), 'token');
    const shown = blocks('json').map((json) => JSON.parse(json));
    const fields = (question: unknown) =>
      Object.entries(question ?? {}).map(([name, value]) => [name, typeof value]);
    expect(shown.map(fields)).toEqual(sent.map(fields));
    expect(shown.map(({ version, kind }) => [version, kind])).toEqual([
      [1, 'connect'],
      [1, 'subscribe'],
    ]);
  });

  it('shows answers that are understood as it says', async () => {
    const answers = [...PAGE.matchAll(/^\| `(\{.*\})` \|/gm)].map(([, answer = '']) => answer);
    const outcomes = [];
    for (const answer of answers) {
      const { verification, access } = await askBoth(() => Promise.resolve(Buffer.from(answer)), 'token');
      outcomes.push(
        'rejected' in verification
          ? `${verification.rejected} ${access}`
          : `${verification.subject} ${access}`,
      );
    }
    // The `exp` shown may have been over for years when this runs.
    expect(readClaims(JSON.parse(answers[0] ?? '').claims, 0)).toMatchObject({ subject: '42' });
    expect(outcomes.slice(1)).toEqual(['invalid unavailable', 'unavailable allow', 'unavailable deny']);
  });

  it('explains every fault', () => {
    const rows = [...PAGE.matchAll(/^\| `([a-z-]+)` \| (.*) \|$/gm)].map(([, fault, text]) => [fault, text]);
    expect(Object.fromEntries(rows)).toEqual(FAULTS);
  });

  it('has a backend for Node that answers both questions, with the permissions that it shows', async () => {
    const [permissions = ''] = blocks('').filter((block) => block.startsWith('authorization'));
    const passwords = `SIDESTREAM_PASSWORD: ours\nBACKEND_PASSWORD: "${BACKEND_PASSWORD}"\n`;
    const nats = await startNats({ config: passwords + permissions });
    const output = startScript(blocks('js')[0] ?? '', nats);
    await nats.subscribed(SUBJECT).catch((error: unknown) => expect.fail(`${error}\n${output()}`));
    const request = await requestOver(nats, { user: 'sidestream', pass: 'ours' });
    const ask = (payload: Uint8Array) => request(SUBJECT, payload, OPTIONS.timeoutMs);
    const known = await askBoth(ask, 'token-of-anna');
    expect(known, output()).toMatchObject({ verification: { subject: 'anna' }, access: 'allow' });
    for (const token of ['rubbish', '__proto__', 'constructor'])
      expect((await askBoth(ask, token)).verification).toMatchObject({ rejected: 'invalid' });
  });
});

/** Runs a script as a newcomer would who has put it beside its node_modules; gives what it has printed so far. */
function startScript(code: string, { url }: NatsServer): () => string {
  const folder = temporaryFolder();
  const file = join(folder, 'backend.mjs');
  writeFileSync(file, code);
  symlinkSync(NODE_MODULES, join(dirname(file), 'node_modules'));
  let output = '';
  const env = { ...process.env, NATS_URL: url, BACKEND_PASSWORD };
  const child: ChildProcess = spawn(process.execPath, [file], { env });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (text: Buffer) => {
      output += text;
    });
  }
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await poll('the script to end', () => child.exitCode !== null || child.signalCode !== null);
  });
  return () => output;
}
