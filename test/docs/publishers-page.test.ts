import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const ROOT = new URL('../../', import.meta.url);
const PUBLISHERS = new URL('deploy/publishers/', ROOT);
const PAGE = readFileSync(new URL('docs/publishers.md', ROOT), 'utf8');
/** What nobody wants to read on a page. */
const NOT_SHOWN = /(^|\/)(go\.sum|Cargo\.lock|package-lock\.json)$/;

const files = readdirSync(PUBLISHERS, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => `${entry.parentPath}/${entry.name}`.slice(PUBLISHERS.pathname.length));

describe('docs/publishers.md and the programs', () => {
  it.each(files)('links to %s, and shows its text to the letter', (file) => {
    expect(PAGE).toContain(`](../deploy/publishers/${file})`);
    if (!NOT_SHOWN.test(file)) expect(PAGE).toContain(readFileSync(new URL(file, PUBLISHERS), 'utf8'));
  });

  it('the Node program has the packages that it is tested with', () => {
    const read = (name: string): { dependencies: Record<string, string> } =>
      JSON.parse(readFileSync(new URL(name, ROOT), 'utf8'));
    const ours = read('package.json').dependencies;
    for (const [name, version] of Object.entries(read('deploy/publishers/node/package.json').dependencies))
      expect(version).toBe(ours[name]);
  });
});
