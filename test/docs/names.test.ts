import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const DOCS = new URL('../../docs/', import.meta.url);
const read = (name: string) => readFileSync(new URL(name, DOCS), 'utf8');
const pages = [...readdirSync(DOCS).filter((name) => name.endsWith('.md')), '../README.md'];

/** prom-client's own, and the two parts that a histogram adds. */
const DEFAULT = /^sidestream_(process|nodejs)_|_(bucket|sum|count)$/;

/** Every key of the config by its whole path, as docs/configuration.md has them: `limits`, `limits.pending`, `auth.jwt.keys`, … */
function configKeys(): Set<string> {
  const keys = new Set<string>();
  for (const part of read('configuration.md')
    .split(/^#{2,4} (?=[a-z.A-Z]+\n)/m)
    .slice(1)) {
    const [section = ''] = part.split('\n', 1);
    keys.add(section);
    for (const [, key] of part.matchAll(/^\| `(\w+)` \|/gm)) keys.add(`${section}.${key}`);
  }
  return keys;
}

/** Names of other things that look like keys. */
const NOT_KEYS = new Set(['nats.go', 'nats.enabled']);

describe('what the pages name is there', () => {
  const metrics = new Set(
    [...`${read('metrics.md')}\n${read('workers.md')}`.matchAll(/^\| `(sidestream_\w+)`/gm)].map(
      ([, name]) => name,
    ),
  );
  const keys = configKeys();

  it('there are metrics and keys to compare with', () => {
    expect(metrics.size).toBeGreaterThan(50);
    expect([...keys]).toEqual(expect.arrayContaining(['limits.connections', 'auth.cache.size', 'http.cors']));
  });

  it.each(pages)('%s: metrics', (page) => {
    const named = [...read(page).matchAll(/`(sidestream_\w+)[`{[)]|\b(sidestream_\w+)[{[]/g)].map(
      ([, code, bare]) => code ?? bare ?? '',
    );
    const unknown = named.filter((name) => !metrics.has(name) && !DEFAULT.test(name));
    // What is no metric, but a bucket of JetStream's.
    expect(
      unknown.filter((name) => !/^sidestream_(revocations|tickets|channels|inbox|build_info)$/.test(name)),
    ).toEqual([]);
  });

  it.each(pages)('%s: config keys', (page) => {
    const named = [...read(page).matchAll(/`([a-z]+\.[a-zA-Z]+(?:\.[a-zA-Z]+)*)`/g)].map(
      ([, name = '']) => name,
    );
    const ours = named.filter((name) => keys.has(name.split('.')[0] ?? '') && !NOT_KEYS.has(name));
    expect(ours.filter((name) => !keys.has(name))).toEqual([]);
  });
});
