import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../src/errors.ts';
import { exposeMetrics } from '../src/exposition/exposition.ts';
import { Metrics, ReloadMetrics, RouteMetrics } from '../src/metrics.ts';
import { CLOSE_REASONS, GAP_REASONS, REFUSAL_CODES, UNSUBSCRIBE_REASONS } from '../src/reasons.ts';

const read = (name: string) => readFileSync(new URL(`../docs/${name}`, import.meta.url), 'utf8');

/** The rows of every table whose first cell is a code span: `| `name` | … |` → name and the other cells. */
function rows(markdown: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const line of markdown.split('\n')) {
    const cells = /^\| `([^`]+)` \|(.*)\|$/.exec(line);
    if (cells?.[1] !== undefined)
      found.set(
        cells[1],
        (cells[2] ?? '').split('|').map((cell) => cell.trim()),
      );
  }
  return found;
}

/** The part of a page under one heading, or from one sentence to the next blank table. */
function section(markdown: string, from: string, to: string): string {
  const start = markdown.indexOf(from);
  expect(start, `${from} stands in the page`).toBeGreaterThanOrEqual(0);
  const end = markdown.indexOf(to, start + from.length);
  return markdown.slice(start, end < 0 ? undefined : end);
}

describe('the documentation and the code name the same things', () => {
  const wire = read('wire.md');

  it('every error code, with its meaning', () => {
    const table = rows(read('errors.md'));
    expect([...table.keys()].sort()).toEqual(Object.keys(ERROR_CODES).sort());
    for (const [code, meaning] of Object.entries(ERROR_CODES)) expect(table.get(code)?.[0]).toBe(meaning);
  });

  it('every reason of sidestream.close, with its meaning', () => {
    const table = rows(section(wire, '`reason` of `sidestream.close`:', 'A reader that is too slow'));
    expect([...table.keys()].sort()).toEqual(Object.keys(CLOSE_REASONS).sort());
    for (const [reason, meaning] of Object.entries(CLOSE_REASONS))
      expect(table.get(reason)?.[0]).toBe(meaning);
  });

  it('every reason of sidestream.unsubscribed, with its meaning', () => {
    const table = rows(section(wire, '`reason` of `sidestream.unsubscribed`:', 'A backend may also'));
    expect([...table.keys()].sort()).toEqual(Object.keys(UNSUBSCRIBE_REASONS).sort());
    for (const [reason, meaning] of Object.entries(UNSUBSCRIBE_REASONS))
      expect(table.get(reason)?.[0]).toBe(meaning);
  });

  it('every reason of sidestream.gap, with its meaning', () => {
    const table = rows(section(wire, '`reason` of `sidestream.gap`:', '`reason` of `sidestream.close`:'));
    expect([...table.keys()].sort()).toEqual(Object.keys(GAP_REASONS).sort());
    for (const [reason, meaning] of Object.entries(GAP_REASONS)) expect(table.get(reason)?.[0]).toBe(meaning);
  });

  it('every refusal, with its meaning', () => {
    const table = rows(section(wire, '## Refusals', '## `retry:`'));
    expect([...table.keys()].sort()).toEqual(Object.keys(REFUSAL_CODES).sort());
    for (const [code, meaning] of Object.entries(REFUSAL_CODES))
      expect(table.get(code)?.at(-1)).toBe(meaning);
  });

  it('every metric of ours, with its type and labels', async () => {
    const table = rows(read('metrics.md'));
    const observed = {
      channels: () => 0,
      lingeringChannels: () => 0,
      streams: () => [],
      historyBytes: () => 0,
      archiveReads: () => ({ all: 0, failed: 0 }),
      natsSubscriptions: () => 0,
      revocations: () => 0,
      controlCommands: () => [],
      cluster: () => ({ instances: 1, calls: [], waiting: 0 }),
      controlBucketOpen: () => false,
      ticketsShared: () => false,
      publishing: { counts: { results: new Map() }, states: [], isPersistent: false, expired: 0 },
      tokenChecks: () => ({ hit: 0, miss: 0 }),
      inbox: () => undefined,
      presence: () => undefined,
      backendEvents: () => ({ sent: 0, dropped: 0 }),
      keySets: () => [],
      authQuestions: () => [],
      authFaults: () => [],
      apiRefusals: () => [],
      limits: () => ({ connections: 10, channels: 20, historyBytes: 30, pendingTotalBytes: 40 }),
      accepting: () => true,
      reloads: new ReloadMetrics(0),
      version: '0',
      uwsVersion: '0',
    };
    const exposed = await exposeMetrics(new Metrics(), observed).getMetricsAsJSON();
    const ours = exposed.filter(({ name }) => !/_(process|nodejs)_|_build_info$/.test(name));
    expect([...table.keys()].sort()).toEqual(ours.map(({ name }) => name).sort());
    for (const { name, type } of ours)
      expect(`${name} ${table.get(name)?.[0]}`).toBe(`${name} ${String(type)}`);
  });

  it('every reason and field by which a route counts messages', () => {
    const table = rows(read('metrics.md'));
    const { dropped, fieldsDropped, shaped } = new RouteMetrics();
    for (const [name, counts] of [
      ['sidestream_publications_dropped_total', dropped],
      ['sidestream_message_fields_dropped_total', fieldsDropped],
      ['sidestream_publications_shaped_total', shaped],
    ] as const) {
      const meaning = table.get(name)?.at(-1) ?? '';
      for (const label of Object.keys(counts)) expect(meaning, `${name} ${label}`).toContain(`\`${label}\``);
    }
  });
});
