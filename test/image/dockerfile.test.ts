import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
const dockerfile = read('Dockerfile');

/** Plain JavaScript without types. */
async function load<T>(name: string): Promise<T> {
  return import(new URL(`../../deploy/dev/${name}`, import.meta.url).href);
}

/** What is copied from the checkout: every source of a COPY that is of no stage. */
const copied = dockerfile
  .split('\n')
  .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
  .flatMap((line) => line.split(' ').slice(1, -1))
  .filter((word) => !word.startsWith('--'));

describe('the Dockerfile', () => {
  it('says the version of package.json where it is not told one', () => {
    const [, version] = /^ARG VERSION=(.*)$/m.exec(dockerfile) ?? [];
    expect(version).toBe(JSON.parse(read('package.json')).version);
  });

  it('is sent what it copies, and nothing else of the checkout', () => {
    const [first, ...admitted] = read('.dockerignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(first).toBe('*');
    expect(admitted.map((line) => line.replace(/^!/, '')).sort()).toEqual([...new Set(copied)].sort());
  });

  it('copies with a mode of files only into folders that are there', () => {
    // moby/moby#49851: one that COPY makes gets that mode as well, and 65532 could not enter it. Buildah does otherwise.
    const [, last = ''] = dockerfile.split(/^FROM debian:.*$/m);
    const into = [...last.matchAll(/^COPY .*--chmod=\d+ .* (\S+)\/$/gm)];
    for (const { 1: folder, index } of into)
      expect(last.slice(0, index)).toMatch(new RegExp(`^RUN mkdir -m 755 ${folder} `, 'm'));
    expect(into).toHaveLength(dockerfile.match(/^COPY .*--chmod/gm)?.length ?? 0);
  });

  it('begins with images that can be made here, of the Node that the newest uWebSockets.js is tested with', async () => {
    const { baseImages } = await load<{ baseImages(text: string): string[] }>('release/image.mjs');
    const { NODE } = await load<{ NODE: string }>('newest-uws.mjs');
    const major = NODE.split('.')[0];
    expect(baseImages(dockerfile)).toEqual([`node:${major}-trixie-slim`, 'debian:trixie-slim']);
  });

  it('lets no package run a script of its own', () => {
    const installs = dockerfile.match(/npm (ci|install|i)\b[^&\n]*/g) ?? [];
    expect(installs).toHaveLength(2);
    for (const install of installs) expect(install).toContain('npm ci --');
    for (const install of installs) expect(install).toContain('--ignore-scripts');
  });

  it('has its last word without a shell', () => {
    for (const instruction of ['ENTRYPOINT', 'CMD'])
      expect(dockerfile).toMatch(new RegExp(`^${instruction} \\["`, 'm'));
    expect(dockerfile).toMatch(/^HEALTHCHECK [^\n]*\\\n {2}CMD \["/m);
  });
});
