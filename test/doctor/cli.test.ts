import { describe, expect, it } from 'vitest';
import { readArguments, UsageError } from '../../src/commands/arguments.ts';
import { doctor } from '../../src/commands/doctor.ts';
import { runCli } from '../support/cli.ts';
import { temporaryFile } from '../support/folder.ts';
import { OPS_TOKEN } from './examined.ts';
import { startExaminedBridge } from './misconfigured.ts';

const SHORT = ['--idle', '1s', '--patience', '3s'];

describe('sidestream doctor', () => {
  it('says what it found, for people, and exits with 0 where there is no problem', async () => {
    const bridge = await startExaminedBridge();
    const url = `http://127.0.0.1:${bridge.httpPort}/events/topic.a`;
    const ops = ['--ops', bridge.opsUrl, '--ops-token-file', temporaryFile(`${OPS_TOKEN}\n`)];
    const { status, stdout, stderr } = await runCli(['doctor', url, ...SHORT, ...ops]);
    expect(stderr).toContain('measuring');
    expect(stdout).toMatch(/^ok {12}answer {8}200, text\/event-stream$/m);
    expect(stdout).toMatch(/^ok {12}events {8}5 events/m);
    expect(stdout).toMatch(/\n0 problems, \d warnings, \d+ ok, \d not measured\n$/);
    expect(status).toBe(0);
  });

  it('says it for machines, and exits with 1 where there is one; no secret is in it', async () => {
    const bridge = await startExaminedBridge({
      channels: { topic: { channel: 'topic.{name}', subject: 'topics.{name}', access: 'authenticated' } },
      auth: {
        jwt: { algorithms: ['HS256'], keys: [{ secret: 'a-secret-of-thirty-two-characters' }] },
        token: ['bearer', 'query:t'],
      },
    });
    const url = `http://127.0.0.1:${bridge.httpPort}/events/topic.a?t=query-secret`;
    const token = temporaryFile('not-a-token-but-secret\n');
    const { status, stdout, stderr } = await runCli([
      'doctor',
      url,
      ...SHORT,
      '--token-file',
      token,
      '--json',
    ]);
    expect(status).toBe(1);
    expect(stderr).toBe('');
    const { findings } = JSON.parse(stdout);
    expect(findings).toContainEqual(
      expect.objectContaining({
        id: 'answer',
        verdict: 'problem',
        values: { status: 401, code: 'TOKEN_INVALID' },
      }),
    );
    expect(stdout).not.toMatch(/secret/);
  });

  it.each<[string, string[], string]>([
    ['no URL', [], 'doctor wants the URL of a stream'],
    ['what is no URL, without saying it back', ['s3cret'], 'the URL is no URL'],
    ['another scheme', ['ftp://a.example/'], 'must begin with https:// or http://'],
    ['a password in the URL', ['https://u:s3cret@a.example/'], 'holds a user or a password'],
    ['two URLs', ['https://a.example/', 'https://b.example/'], 'unexpected argument'],
    ['too short a time', ['https://a.example/', '--idle', '10ms'], '--idle 10ms is not a duration'],
    ['too many streams', ['https://a.example/', '--streams', '101'], '--streams 101'],
    ['half a control plane', ['https://a.example/', '--ops', 'http://a.example'], 'go together'],
    ['a drain without it', ['https://a.example/', '--drain', 'call'], '--drain call needs'],
    ['an unknown drain', ['https://a.example/', '--drain', 'now'], 'neither wait nor call'],
    ['a header that is none', ['https://a.example/', '--header', 's3cret'], "not 'name: value'"],
    [
      'a header of the connection',
      ['https://a.example/', '--header', 'Connection: close'],
      '--header Connection cannot',
    ],
    ['a header of two lines', ['https://a.example/', '--token', 's3cret\r\nx: y'], "not 'name: value'"],
    [
      'a file that is not there',
      ['https://a.example/', '--token-file', '/nowhere/file'],
      '--token-file: ENOENT',
    ],
    [
      'authorities that are none',
      ['https://a.example/', '--ca', '/dev/null'],
      '/dev/null holds no certificate',
    ],
    ['an unknown option', ['https://a.example/', '--idel', '1s'], 'did you mean --idle?'],
  ])('refuses %s', async (_, args, complaint) => {
    const refusal = await asked(args);
    expect(refusal).toBeInstanceOf(UsageError);
    expect(String(refusal)).toContain(complaint);
    expect(String(refusal)).not.toContain('s3cret');
  });

  it('exits with 2 where it is used badly', async () => {
    const { status, stderr } = await runCli(['doctor']);
    expect(stderr).toContain('Try sidestream --help');
    expect(status).toBe(2);
  });
});

/** What the command throws, as main would see it. */
async function asked(args: readonly string[]): Promise<unknown> {
  try {
    const { operand, flags } = readArguments(['doctor', ...args]);
    return await doctor(operand, flags);
  } catch (error) {
    return error;
  }
}
