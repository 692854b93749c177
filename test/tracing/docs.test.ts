import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { createLog } from '../../src/log.ts';
import { Router } from '../../src/routing/router.ts';
import { parseTraceparent, traceFields } from '../../src/tracing/trace-context.ts';
import { findTracing } from '../../src/tracing/tracing.ts';
import { ManualClock } from '../support/clock.ts';
import { LoadedSdk, PARENT } from './sdk.ts';

const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
const PAGE = read('docs/tracing.md');

/** What stands as code in the first cells of the table under these two. */
function named(first: string): string[] {
  const [, table = ''] = new RegExp(`^\\| ${first} \\|.*\\n\\|[-|]+\\n((?:\\|.*\\n)+)`, 'm').exec(PAGE) ?? [];
  const cells = table.split('\n').map((row) => row.split('|')[1] ?? '');
  return cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)).sort();
}

it('the page names every attribute of a span', () => {
  const sdk = new LoadedSdk();
  const log = createLog({ level: 'silent', format: 'json' }, { write: () => undefined });
  const tracing = findTracing({ version: '0', log, clock: new ManualClock() });
  const message = { subject: 's', template: 's', bytes: 1, id: 'i', stream: 'S', offset: 1 };
  const trace = parseTraceparent(PARENT);
  const span = tracing?.received({ ...message, trace });
  span?.published({ route: { name: 'r' }, channel: 'c' }, 1);
  span?.dropped({ route: { name: 'r' }, channel: 'c' }, 'error');
  span?.end();
  tracing?.sending({ ...message, trace }).end('NO_STREAM');
  const names = sdk.spans.flatMap(({ attributes }) => Object.keys(attributes));
  expect(named('attribute')).toEqual([...new Set(names)].sort());
  const events = sdk.spans.flatMap((span) =>
    span.events.flatMap(({ attributes }) => Object.keys(attributes ?? {})),
  );
  for (const name of events) expect(PAGE).toContain(`\`${name}\``);
});

it('the page names every field of a log line', () => {
  expect(named('field')).toEqual(Object.keys(traceFields(parseTraceparent(PARENT)) ?? {}).sort());
});

it('the page has a config that can be used', () => {
  const [, yaml = ''] = /^```yaml\n([\s\S]*?)^```$/m.exec(PAGE) ?? [];
  const { config, notices } = parseConfig(yaml, 'page.yaml', {});
  expect(new Router(config.channels).resolve('orders-7')?.route.config.trace).toBe(true);
  expect(notices).toEqual([]);
});

it('the page has the packages installed that its file imports, as they are tested', () => {
  const manifest = JSON.parse(read('package.json'));
  const tested: Record<string, string> = { ...manifest.dependencies, ...manifest.devDependencies };
  const imported = [...read('deploy/tracing/otel.mjs').matchAll(/from '([^']+)'/g)].map(
    ([, name = '']) => name,
  );
  const commands = [...PAGE.matchAll(/npm install (.*)$/gm)];
  expect(commands).toHaveLength(2);
  for (const [, list = ''] of commands) {
    const wanted = list.split(' ').map((each) => each.split(/(?<!^)@/));
    expect(wanted.map(([name]) => name).sort()).toEqual(imported.sort());
    for (const [name = '', version = ''] of wanted) expect(`${tested[name]}.`).toMatch(`${version}.`);
  }
});
