import { execFile } from 'node:child_process';
import { delimiter, dirname } from 'node:path';
import { promisify } from 'node:util';
import type { NatsConnection } from '@nats-io/transport-node';
import { expect, it } from 'vitest';
import { SPECS } from '../../src/control/operations/all.ts';
import type { NatsServer } from '../support/nats-server.ts';
import { OPS_TOKEN, CONTROL_PAGE as PAGE, startPair } from './pair.ts';

const LINES = [...PAGE.matchAll(/^\$ ((?:nats req|curl) .*)$/gm)].map(([, line = '']) => line);
/** What the page says of itself: ids that stand for others. */
const CONNECTION = '39880850-3f0b-4b8e-9a51-0d6f0b6f7c11';
const INSTANCE = '7d4c9ab0-52f6-4f0e-8b7e-6c1a2f7be0d3';
const CLI = process.env.NATS_CLI_BIN;
const run = promisify(execFile);

/** The operation that a line calls, and over what. */
function about(line: string): string {
  const [, over = '', nats, http] =
    /^(nats|curl) .*?(?:sidestream\.api\.(\w+)|127\.0\.0\.1:9090\/api\/(\w+))/.exec(line) ?? [];
  return `${over} ${nats ?? http}`;
}

/** Runs a line in a shell, as a reader does; gives the JSON that is answered. */
async function answerTo(
  line: string,
  nats: NatsServer,
  connection: NatsConnection,
): Promise<Record<string, unknown>> {
  const [, subject = '', payload = ''] = /^nats req (\S+) '([^']*)'/.exec(line) ?? [];
  if (subject !== '' && CLI === undefined)
    return (await connection.request(subject, payload, { timeout: 5000 })).json();
  const PATH = [dirname(CLI ?? ''), process.env.PATH].join(delimiter);
  const env = { ...process.env, PATH, OPS_TOKEN, NATS_URL: nats.url };
  const { stdout } = await run('/bin/sh', ['-c', line], { env });
  const found = stdout.split('\n').find((text) => text.startsWith('{'));
  if (found === undefined) throw new Error(`${line} printed ${stdout}`);
  return JSON.parse(found);
}

it('every operation has a section with a nats and a curl line, and nothing else has', () => {
  const called = LINES.map(about);
  const wanted = SPECS.flatMap(({ name }) => [`nats ${name}`, `curl ${name}`]);
  expect([...new Set(called)].sort()).toEqual([...wanted].sort());
  const sections = [...PAGE.slice(PAGE.indexOf('## Operations')).matchAll(/^### (\w+)$/gm)].map(([, n]) => n);
  expect(sections.sort()).toEqual(SPECS.map(({ name }) => name).sort());
});

it('every line of the page does what it says, one after the other, on a pair of instances', async () => {
  if (CLI === undefined) console.warn('there is no nats CLI: its lines are sent by the client library');
  const { nats, connection, bridges, instance, visitor } = await startPair();
  const failed: string[] = [];
  for (const [n, line] of LINES.entries()) {
    const id = about(line).endsWith(' drain') ? '' : await visitor.connection();
    const filled = line
      .replaceAll(CONNECTION, id)
      .replaceAll(INSTANCE, instance)
      .replaceAll('http://127.0.0.1:9090', bridges[n % 2 === 0 ? 0 : 1].opsUrl);
    const answer = await answerTo(filled, nats, connection);
    if ('error' in answer) failed.push(`${line}: ${JSON.stringify(answer)}`);
  }
  expect(failed).toEqual([]);
}, 60_000);
