import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { temporaryFile } from '../support/folder.ts';
import { blocks } from './transcript.ts';

const DOCS = new URL('../../docs/', import.meta.url);
const pages = readdirSync(DOCS).filter((name) => name.endsWith('.md'));
const read = (name: string) => readFileSync(new URL(name, DOCS), 'utf8');

/** What a reader has in the environment. */
const environmentOf = (text: string) =>
  Object.fromEntries(
    [...text.matchAll(/\$\{(\w+)\}/g)].map(([, name = '']) => [
      name,
      'a secret of thirty-two characters or more',
    ]),
  );

describe('what readers copy', () => {
  const configs = pages.flatMap((page) =>
    blocks(read(page), 'yaml')
      .filter((text) => text.startsWith('# config.yaml\n'))
      .map((text, index) => [page, index + 1, text] as const),
  );

  it.each(configs)('is a good config: %s, number %i', (_page, _index, text) => {
    // The reader makes that file by openssl.
    const secret = temporaryFile('a secret of thirty-two characters or more');
    const here = text.replace('secretFile: token-secret', `secretFile: ${secret}`);
    expect(parseConfig(here, 'config.yaml', environmentOf(text)).config.channels).toBeTruthy();
  });

  it('there are such configs', () => {
    const found = new Set(configs.map(([page]) => page));
    expect([...found]).toEqual(
      expect.arrayContaining(['quick-start.md', 'migration.md', 'deployment.md', 'security.md']),
    );
  });

  it.each(['migration.md', 'troubleshooting.md', 'resume.md', 'security.md', 'wire.md'])(
    'is JavaScript: %s',
    (page) => {
      for (const text of blocks(read(page), 'js')) {
        const { status, stderr } = spawnSync(
          process.execPath,
          ['--check', temporaryFile(text, 'snippet.mjs')],
          {
            encoding: 'utf8',
          },
        );
        expect(status, `${stderr}\n${text}`).toBe(0);
      }
    },
  );

  it.each(['migration.md'])('is JSON: %s', (page) => {
    for (const text of blocks(read(page), 'json')) expect(JSON.parse(text)).toBeTruthy();
  });
});

describe('what the pages say of this repository', () => {
  const { scripts }: { scripts: Record<string, string> } = JSON.parse(
    readFileSync(new URL('../package.json', DOCS), 'utf8'),
  );
  const texts = [
    ...pages.map((name) => [name, read(name)] as const),
    ...['README.md', 'CONTRIBUTING.md'].map((name) => [name, read(`../${name}`)] as const),
  ];

  it.each(texts)('every npm script that %s names is one', (_page, text) => {
    for (const [, name = ''] of text.matchAll(/\bnpm run ([\w:-]+)/g)) expect(scripts).toHaveProperty([name]);
  });

  it.each(texts)('every option of sidestream that %s names is one', (_page, text) => {
    const help = readFileSync(new URL('../src/commands/help.ts', DOCS), 'utf8');
    for (const [, command = '', rest = ''] of text.matchAll(
      /^(?:\$ )?(?:sidestream|node (?:\.\.\/)?dist\/main\.js) ([a-z]+)(.*)$/gm,
    )) {
      expect(help).toMatch(new RegExp(`sidestream \\[?${command}\\b`));
      const own = rest.split(/\s[#|]|&&/)[0] ?? '';
      for (const [option] of own.matchAll(/(?<=\s)--[a-z-]+/g))
        expect(help, `${command}${rest}`).toContain(option);
    }
  });
});
