import { exampleYaml } from '../config/example.ts';
import { jsonSchema } from '../config/json-schema.ts';
import { referenceMarkdown } from '../config/reference.ts';
import { openApi } from '../control/openapi.ts';
import { print } from './print.ts';

/** Which of the files that are made of the code to print; without a choice the config's JSON Schema. */
export interface SchemaFlags {
  readonly example: boolean;
  readonly markdown: boolean;
  readonly openapi: boolean;
}

/** Prints a file that is made of the code. */
export function schema({ example, markdown, openapi }: SchemaFlags, version: string): number {
  if (example) return print(exampleYaml());
  if (markdown) return print(referenceMarkdown());
  return print(`${JSON.stringify(openapi ? openApi(version) : jsonSchema(), null, 2)}\n`);
}
