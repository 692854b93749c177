// `npm run docs`: writes what is made of the chart's values: its schema, and the table in docs/kubernetes.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chartSchema } from './chart-schema.mjs';
import { chartValues, leaves } from './chart-values.mjs';
import { ROOT } from './command.mjs';

const PAGE = join(ROOT, 'docs/kubernetes.md');
export const SCHEMA = join(ROOT, 'helm/values.schema.json');
const [BEGIN, END] = ['<!-- values: made by npm run docs -->\n', '<!-- end of values -->'];

const cell = (text) => text.replaceAll('|', '\\|').replaceAll(/<([^>]*)>/g, '&lt;$1&gt;');

/** The values as a table of Markdown. */
export function valuesTable() {
  const rows = leaves(chartValues()).map(
    ({ path, value, description }) =>
      `| \`${path}\` | \`${JSON.stringify(value)}\` | ${cell(description)} |\n`,
  );
  return `| value | default | |\n|---|---|---|\n${rows.join('')}`;
}

/** The page with its table made anew. @throws Error where it has no place for one */
export function withTable(page) {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`docs/kubernetes.md has no place for the table of values`);
  return page.slice(0, begin + BEGIN.length) + valuesTable() + page.slice(end);
}

export const readPage = () => readFileSync(PAGE, 'utf8');

/** The schema's file as it should be. */
export async function schemaText() {
  const { jsonSchema } = await import(new URL('../../dist/config/json-schema.js', import.meta.url).href);
  return `${JSON.stringify(chartSchema(jsonSchema()), null, 2)}\n`;
}

if (process.argv[1] === import.meta.filename) {
  writeFileSync(SCHEMA, await schemaText());
  writeFileSync(PAGE, withTable(readPage()));
}
