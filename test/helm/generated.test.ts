import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { jsonSchema } from '../../src/config/json-schema.ts';
import { chartFile, valueSets } from './chart.ts';

/** Plain JavaScript without types. */
interface Generator {
  chartSchema(config: object): object;
  withTable(page: string): string;
}
const generator: Generator = {
  ...(await import(new URL('../../deploy/dev/chart-schema.mjs', import.meta.url).href)),
  ...(await import(new URL('../../deploy/dev/chart-docs.mjs', import.meta.url).href)),
};

const page = readFileSync(new URL('../../docs/kubernetes.md', import.meta.url), 'utf8');
const file: object = JSON.parse(chartFile('values.schema.json'));

describe('what is made of the chart’s values (npm run docs)', () => {
  it('the schema is that of the code and of values.yaml', () => {
    expect(file).toEqual(generator.chartSchema(jsonSchema()));
  });

  it('the table in docs/kubernetes.md is that of values.yaml', () => {
    expect(page).toBe(generator.withTable(page));
  });

  it('the schema takes the defaults and every set of values', () => {
    const validate = new Ajv({ strict: false }).compile(file);
    const problems = (text: string) => (validate(parse(text)) ? [] : validate.errors);
    expect(problems(chartFile('values.yaml'))).toEqual([]);
    for (const [name, path] of valueSets) expect(problems(readFileSync(path, 'utf8')), name).toEqual([]);
  });

  it('the chart has the version of the package', () => {
    const { version }: { version: string } = JSON.parse(
      readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
    );
    expect(parse(chartFile('Chart.yaml'))).toMatchObject({ appVersion: version });
  });
});
