import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CHECKS, type Finding, ok, problem, unmeasured, warning } from '../../src/doctor/finding.ts';
import { advice, proxyOf } from '../../src/doctor/proxy.ts';
import { createReport, formatReport, hasProblem, jsonReport } from '../../src/doctor/report.ts';
import { foreign, span } from '../../src/doctor/words.ts';

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');

describe('a report', () => {
  const url = new URL('https://e.example/events?channels=a,b&token=s3cr3t-in-url');
  const findings: Finding[] = [
    ok('connect', 'fine', { lookupMs: 3 }),
    warning('tls', 'the server said s3cr3t-in-url', 'mend it'),
    problem('answer', 'it said Bearer s3cr3t-token', 's3cr3t-token', { server: 'x s3cr3t-token' }),
    unmeasured('drain', 'not asked for'),
  ];
  const report = createReport(url, findings, ['Bearer s3cr3t-token', 's3cr3t-token', 'a']);

  it('is a line for each check, one more for what to change, and a sum', () => {
    expect(formatReport(report).split('\n')).toEqual([
      'https://e.example/events?channels=a,b&token=***',
      '',
      'ok            connect       fine',
      'warning       tls           the server said ***',
      '                            → mend it',
      'problem       answer        it said ***',
      '                            → ***',
      'not measured  drain         not asked for',
      '',
      '1 problem, 1 warning, 1 ok, 1 not measured',
      '',
    ]);
  });

  it('is the same for machines, without a secret too', () => {
    const json = JSON.parse(jsonReport(report));
    expect(json.findings[2]).toEqual({
      id: 'answer',
      verdict: 'problem',
      measured: 'it said ***',
      remedy: '***',
      values: { server: 'x ***' },
    });
    expect(`${jsonReport(report)}${formatReport(report)}`).not.toContain('s3cr3t');
    expect(hasProblem(report)).toBe(true);
    expect(hasProblem({ ...report, findings: findings.slice(0, 2) })).toBe(false);
  });
});

it('holds nothing of a secret either that was cut off with what a server said, nor as it stands in the URL', () => {
  const secret = `eyJ${'abcdefghij'.repeat(12)}`;
  const url = new URL('https://e.example/events?token=one+two%2fthree');
  const said = (text: string) =>
    createReport(url, [ok('answer', foreign(text))], [`Bearer ${secret}`, secret]);
  for (const text of [secret, `nginx ${secret}`, `said Bearer ${secret}`, `${'x'.repeat(70)}${secret}`])
    expect(jsonReport(said(text))).not.toContain('eyJab');
  expect(jsonReport(said('one+two%2fthree'))).not.toContain('two');
  expect(jsonReport(said('x'.repeat(200)))).toContain('xxx…');
});

it('says times as people do', () => {
  expect([0.4, 999, 1000, 19_940, 75_000].map(span)).toEqual(['0 ms', '999 ms', '1.0 s', '19.9 s', '75 s']);
});

it('shows nothing of a server that a terminal would obey, and little of it', () => {
  expect(foreign('a\u001b[2Jb\u009bc\u202ed\r\n')).toBe('a?[2Jb?c?d??');
  expect(foreign('x'.repeat(200)).length).toBe(81);
});

describe('docs/doctor.md', () => {
  const page = read('docs/doctor.md');

  it('has a section for each check, with what it asks, and for no other', () => {
    const sections = [...page.matchAll(/^### ([a-z0-9-]+)\n\n(.+)$/gm)].map(([, id, first]) => [id, first]);
    expect(sections).toEqual(Object.entries(CHECKS));
  });

  it('explains each option that there is', () => {
    const options = [...read('src/commands/doctor-options.ts').matchAll(/^ {2}'?([a-z-]+)'?:/gm)].map(
      ([, name]) => name,
    );
    expect(options.length).toBeGreaterThan(10);
    for (const name of options) {
      expect(page, name).toContain(`--${name}`);
      expect(read('src/commands/help.ts'), name).toContain(`--${name}`);
    }
  });
});

it('every place in the documentation that a remedy leads to is there', () => {
  const files = [
    'proxy',
    'refusal',
    ...[
      'address',
      'answer',
      'codings',
      'drain',
      'events',
      'first-bytes',
      'reaching',
      'resume',
      'staying',
      'streams',
    ].map((name) => `checks/${name}`),
  ];
  const remedies = files.map((name) => read(`src/doctor/${name}.ts`)).join('\n');
  const places = new Set([...remedies.matchAll(/docs\/([a-z]+\.md)(#[a-z0-9-]+)?/g)].map(([place]) => place));
  expect(places.size).toBeGreaterThan(4);
  for (const place of places) {
    const [file = '', anchor] = place.split('#');
    expect(existsSync(new URL(`../../${file}`, import.meta.url)), place).toBe(true);
    if (anchor === undefined) continue;
    const anchors = [...read(file).matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
      title
        .toLowerCase()
        .replace(/[^a-z0-9 -]/g, '')
        .replaceAll(' ', '-'),
    );
    expect(anchors, place).toContain(anchor);
  }
  expect(advice(proxyOf(undefined), 'http2')).toContain('docs/proxies.md');
});
