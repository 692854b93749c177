import { describe, expect, it } from 'vitest';
import { temporaryFile } from '../support/folder.ts';
import { parse, problemsOf, ROUTE } from './marked.ts';

const TOKEN = '0123456789abcdef';
const EXPECTED =
  'a token of 16 to 512 characters of A-Z a-z 0-9 . _ ~ + / -, like the output of openssl rand -hex 32';

describe('the token of the ops port', () => {
  it('is none by default, and stands in the config, the environment or a file', () => {
    expect(parse(ROUTE).ops.token).toBeUndefined();
    expect(parse(`${ROUTE}ops: { token: ${TOKEN} }`).ops.token).toBe(TOKEN);
    expect(parse(`${ROUTE}ops: { token: "\${T}" }`, { T: `${TOKEN}==` }).ops.token).toBe(`${TOKEN}==`);
    const file = temporaryFile(`${TOKEN}\n`, 'token');
    expect(parse(`${ROUTE}ops: { tokenFile: "${file}" }`).ops).toEqual({
      listen: { host: '127.0.0.1', port: 9090 },
      readyNeedsNats: false,
      token: TOKEN,
    });
  });

  it.each([
    'short',
    'has a space in it: 0123',
    '"0123456789abcde\u00e9"',
    `${TOKEN}=${TOKEN}`,
    'x'.repeat(513),
  ])('is refused where it can be guessed, or cannot be sent, and is not shown: %s', (token) => {
    const [problem] = problemsOf(`${ROUTE}ops: { token: ${JSON.stringify(token)} }`);
    expect(problem?.message).toContain(`expected ${EXPECTED}`);
    expect(JSON.stringify(problem)).not.toContain(token.slice(0, 12) === 'short' ? '"short"' : token);
  });

  it('is refused in a file too, which is not shown', () => {
    const file = temporaryFile('hunter2', 'token');
    const [problem] = problemsOf(`${ROUTE}ops: { tokenFile: "${file}" }`);
    expect(problem).toMatchObject({ path: 'ops.tokenFile' });
    expect(problem?.message).toContain(EXPECTED);
    expect(JSON.stringify(problem)).not.toContain('hunter2');
  });

  it('stands in one place', () => {
    const file = temporaryFile(TOKEN, 'token');
    const problems = problemsOf(`${ROUTE}ops: { token: ${TOKEN}, tokenFile: "${file}" }`);
    expect(problems.map(({ path, message }) => [path, message])).toEqual([
      ['ops.tokenFile', 'is given beside token: keep one of the two'],
    ]);
  });
});
