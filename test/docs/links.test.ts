import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const ROOT = new URL('../../', import.meta.url);
const read = (file: string) => readFileSync(new URL(file, ROOT), 'utf8');
const docs = readdirSync(new URL('docs/', ROOT))
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`);
const PAGES = ['README.md', 'CONTRIBUTING.md', ...docs];

/** Code is not looked at: what stands there is no link. */
const prose = (text: string) => text.replace(/^```.*?^```$/gms, '').replace(/`[^`\n]*`/g, 'code');

/** The links of a page that lead into this repository, without images' sizes and titles. */
function linksOf(file: string): string[] {
  const found = [...prose(read(file)).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
  return found.filter((target) => !/^[a-z]+:/.test(target));
}

/** The anchors of a page, as GitHub makes them of its headings. */
function anchorsOf(file: string): Set<string> {
  const anchors = new Set<string>();
  const text = read(file).replace(/^```.*?^```$/gms, '');
  for (const [, heading = ''] of text.matchAll(/^#{1,6} (.+)$/gm)) {
    const shown = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1');
    const slug = shown
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-');
    let anchor = slug;
    for (let n = 1; anchors.has(anchor); n += 1) anchor = `${slug}-${n}`;
    anchors.add(anchor);
  }
  for (const [, name = ''] of text.matchAll(/<a (?:id|name)="([^"]+)"/g)) anchors.add(name);
  return anchors;
}

describe('the pages', () => {
  it.each(PAGES)('%s: every link leads somewhere, every anchor too', (file) => {
    const dead = linksOf(file).filter((link) => {
      const target = new URL(link, new URL(file, ROOT));
      const path = target.pathname.slice(ROOT.pathname.length);
      if (!existsSync(new URL(path, ROOT))) return true;
      return target.hash !== '' && path.endsWith('.md') && !anchorsOf(path).has(target.hash.slice(1));
    });
    expect(dead).toEqual([]);
  });

  it('docs/README.md lists every page', () => {
    const listed = new Set(linksOf('docs/README.md').map((link) => `docs/${link.split('#')[0]}`));
    expect(docs.filter((file) => file !== 'docs/README.md' && !listed.has(file))).toEqual([]);
  });

  it('nothing in them belongs to the machine on which they were written', () => {
    for (const file of PAGES)
      expect(read(file), file).not.toMatch(/\/work\/|\/tmp\/(nodes|gobin)|artifactory/);
  });
});
