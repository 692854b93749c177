import { readFileSync } from 'node:fs';
import { Validator } from '@seriousme/openapi-schema-validator';
import { expect, it } from 'vitest';
import { openApi } from '../../src/control/openapi.ts';
import { SPECS } from '../../src/control/operations/all.ts';

const read = (name: string) => JSON.parse(readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8'));

it('docs/openapi.json is what the code says; `npm run docs` writes it', () => {
  expect(read('docs/openapi.json')).toEqual(openApi(read('package.json').version));
});

it('is valid OpenAPI 3.1', async () => {
  const { valid, errors } = await new Validator().validate(read('docs/openapi.json'));
  expect(errors).toBeUndefined();
  expect(valid).toBe(true);
});

it('has every operation once: what reads as GET, all else as POST', () => {
  const { paths } = read('docs/openapi.json');
  const shown = Object.entries(paths).map(([path, methods]) => [path, Object.keys(methods as object)]);
  expect(shown).toEqual(SPECS.map(({ name, kind }) => [`/api/${name}`, [kind === 'read' ? 'get' : 'post']]));
});

it('shows every field that a call may bring', () => {
  const { paths } = read('docs/openapi.json');
  const parameters = paths['/api/connections'].get.parameters.map(({ name }: { name: string }) => name);
  expect(parameters).toEqual(expect.arrayContaining(['user', 'channel', 'limit', 'after']));
  const { schema } = paths['/api/publish'].post.requestBody.content['application/json'];
  expect(Object.keys(schema.properties)).toEqual(expect.arrayContaining(['channel', 'data', 'ttl']));
});
