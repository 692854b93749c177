import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { documentedFields, loggedFields } from './logged.ts';

const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
const documented = documentedFields();

/** All of the code as one text. */
const SOURCES = new URL('../../src/', import.meta.url);
const code = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => readFileSync(new URL(name, SOURCES), 'utf8'))
  .join('\n');

describe('the log, as docs/operations.md has it', () => {
  it('has no field that is not in the table', () => {
    expect([...loggedFields()].filter((field) => !documented.includes(field))).toEqual([]);
    expect(loggedFields().size).toBeGreaterThan(40);
  });

  it('has each field of the table, and each once', () => {
    expect(new Set(documented).size).toBe(documented.length);
    expect(documented.filter((field) => !new RegExp(`\\b${field}\\b`).test(code))).toEqual([]);
  });

  it('has the lines that are worth an alert', () => {
    const lines = [...page.matchAll(/^\| `(?:warn|error|fatal)` \| `([^`]+)` \|/gm)].map(
      ([, line = '']) => line,
    );
    expect(lines.length).toBeGreaterThan(5);
    expect(lines.filter((line) => !code.includes(line))).toEqual([]);
  });
});
