import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readConfig } from '../../src/config/load.ts';
import { problemsAtMarks, problemsOf, ROUTE } from './marked.ts';

describe('YAML that cannot be read', () => {
  it.each([
    ['a mapping in a value', 'http: { path: /x }\nlog:\n  level: ▶a: b\n', /second colon/],
    ['a tab as indentation', 'log:\n▶\tlevel: info\n', /tab/],
    ['an open quote', 'log:\n  level: ▶"info\nhttp: {}\n', /quote is opened further up/],
    ['an open bracket', 'http: { cors: { origins: [\n▶log: {}\n', /indentation|bracket/],
    ['an unquoted IPv6 address', 'http:\n  listen: [::]▶:8080\n', /IPv6 address needs quotes/],
    ['a key without a colon', 'log:\n  level: info\n  ▶format\n', /no colon/],
    ['a reserved first character', 'log: { level: ▶@info }\n', /put it in quotes/],
    ['a key that is none', '▶[a]: 1\n', /plain text/],
  ])('%s is a problem at its place', (_, marked, message) => {
    const messages = problemsAtMarks(marked);
    expect(messages[0]).toMatch(message);
  });

  it.each([
    ['text', '▶just text\n'],
    ['a list', '▶- channels\n'],
    ['a number', '▶5\n'],
  ])('a file that is %s is no mapping', (_, marked) => {
    expect(problemsAtMarks(marked)).toEqual([expect.stringContaining('the file must be a mapping')]);
  });

  it('an empty file has no routes', () => {
    expect(problemsAtMarks('▶')).toEqual([expect.stringMatching(/^channels: is required/)]);
    expect(problemsAtMarks('▶# nothing yet\n')).toEqual([expect.stringMatching(/^channels: is required/)]);
  });

  it('a key or route given twice is told where it was first, and both are checked', () => {
    const messages = problemsAtMarks(`log: { level: ▶loud }
channels:
  a: { channel: a, subject: a, access: public }
  ▶a: { channel: b, subject: b, access: public }
▶log: { level: info }
`);
    expect(messages.slice(1)).toEqual([
      'channels.a: is given twice, the first time on line 3: keep one',
      'log: is given twice, the first time on line 1: keep one',
    ]);
  });

  it('a second document and unknown tags are told, and the rest is checked all the same', () => {
    const messages = problemsAtMarks(`${ROUTE}log: { level: ▶!secret info, format: ▶xml }\n▶---\nhttp: {}\n`);
    expect(messages[0]).toContain('a tag (!name)');
    expect(messages[2]).toContain('second document');
  });

  it('an alias of nothing, of itself, or of too much is told', () => {
    expect(problemsAtMarks(`${ROUTE}log: ▶*nothing\n`)).toEqual([
      expect.stringContaining('log: is an alias of an anchor'),
    ]);
    expect(problemsAtMarks(`${ROUTE}http: { cors: { origins: &o [▶*o] } }\n`)).toEqual([
      'http.cors.origins[0]: is an alias of something around it',
    ]);
    const levels = [...'abcdefgh'].map(
      (name, index, all) =>
        `  - &${name} [${Array(9)
          .fill(index === 0 ? '"*"' : `*${all[index - 1]}`)
          .join(', ')}]`,
    );
    const bomb = problemsOf(`${ROUTE}http:\n cors:\n  origins:\n${levels.join('\n')}\n`);
    expect(bomb.map(({ message }) => message)).toContainEqual(
      expect.stringMatching(/^repeats too much: aliases/),
    );
  });

  it.each([
    ['brackets', `${ROUTE}http: ${'['.repeat(20_000)}`],
    ['dashes', `http:\n${'- '.repeat(20_000)}a`],
    ['question marks', '? '.repeat(20_000)],
    ['indentation', Array.from({ length: 1200 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')],
  ])('nesting without end by %s is refused and does not end the process', (_, text) => {
    expect(problemsOf(text)).toEqual([
      expect.objectContaining({ message: 'this is nested too deeply for a config' }),
    ]);
  });

  it('a file of more than 1 MiB is refused', () => {
    expect(problemsOf(`${ROUTE}#${'x'.repeat(2 * 1024 * 1024)}`)).toEqual([
      expect.objectContaining({ line: 1, column: 1, message: 'the file is larger than 1 MiB' }),
    ]);
  });

  it('a file that is far larger is refused unread: no memory would hold it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sidestream-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'config.yaml');
    writeFileSync(file, ROUTE);
    // Takes no room on the disk; longer than any text may be.
    truncateSync(file, 2 ** 33);
    expect(() => readConfig(file, {})).toThrow('the file is larger than 1 MiB');
  });
});
