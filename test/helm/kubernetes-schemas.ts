import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import { parseAllDocuments } from 'yaml';
import { at, type KubernetesObject, listAt } from './chart.ts';

const { KUBERNETES_SCHEMAS, GATEWAY_API_SCHEMAS, PROMETHEUS_OPERATOR_SCHEMAS } = process.env;

/** Why nothing can be held against schemas here, or `undefined` where it can. */
export const noSchemas: string | undefined =
  process.env.SIDESTREAM_NO_SCHEMAS ??
  (KUBERNETES_SCHEMAS === undefined ? 'there are no schemas of Kubernetes' : undefined);

if (noSchemas !== undefined) console.warn(`The chart was not held against schemas: ${noSchemas}.`);

/** Folders with the custom resources' definitions. */
export const CRD_FOLDERS: readonly string[] = [
  join(GATEWAY_API_SCHEMAS ?? '', 'config/crd/standard'),
  join(PROMETHEUS_OPERATOR_SCHEMAS ?? '', 'example/prometheus-operator-crd'),
];

/** OpenAPI 3.0 where it differs from JSON Schema: an object of Kubernetes has no fields but those that are named. */
function strictly(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strictly);
  if (typeof schema !== 'object' || schema === null) return schema;
  // Go's expressions may say of what kind they are in themselves, and JavaScript's may not.
  const said = Object.entries(schema).filter(
    ([key, value]) => key !== 'pattern' || !`${value}`.includes('(?i)'),
  );
  const fields = Object.fromEntries(said.map(([key, value]) => [key, strictly(value)]));
  const isOpen =
    !('properties' in fields) ||
    'additionalProperties' in fields ||
    fields['x-kubernetes-preserve-unknown-fields'] === true;
  return isOpen ? fields : { ...fields, additionalProperties: false };
}

/** What each kind of object must be, in one version of Kubernetes. */
export class KubernetesSchemas {
  readonly #ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
  readonly #kinds = new Map<string, ValidateFunction>();
  readonly #folder: string;

  /** @param version like `1.30` */
  constructor(version: string) {
    this.#folder = join(KUBERNETES_SCHEMAS ?? '', 'pkg/openapiclient/builtins', version);
  }

  /** What is wrong with an object; `undefined` where its kind is not known here. */
  problems(object: KubernetesObject): readonly string[] | undefined {
    const { apiVersion, kind } = object;
    const key = `${apiVersion} ${kind}`;
    if (!this.#kinds.has(key)) this.#addGroup(apiVersion);
    if (!this.#kinds.has(key)) this.#addCrds(object);
    const validate = this.#kinds.get(key);
    if (validate === undefined) return undefined;
    if (validate(object)) return [];
    return (validate.errors ?? []).map(
      ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
    );
  }

  #addGroup(apiVersion: string): void {
    const path = apiVersion.includes('/') ? `apis/${apiVersion}` : `api/${apiVersion}`;
    let text: string;
    try {
      text = readFileSync(join(this.#folder, `${path}.json`), 'utf8');
    } catch {
      // ENOENT: a group of somebody's own.
      return;
    }
    const { components }: { components: { schemas: Record<string, object> } } = JSON.parse(text);
    this.#ajv.addSchema({ $id: apiVersion, components: strictly(components) });
    for (const [name, schema] of Object.entries(components.schemas))
      for (const kind of (at(schema, 'x-kubernetes-group-version-kind') as readonly unknown[]) ?? [])
        this.#add(`${apiVersion} ${at(kind, 'kind')}`, {
          $ref: `${apiVersion}#/components/schemas/${name}`,
        });
  }

  /** Only the one file that is needed: all of them take seconds to read. */
  #addCrds({ apiVersion, kind }: KubernetesObject): void {
    const name = `${apiVersion.split('/')[0]}_${kind.toLowerCase()}s.yaml`;
    for (const folder of CRD_FOLDERS)
      if (readdirSync(folder).includes(name)) this.#addCrd(readFileSync(join(folder, name), 'utf8'));
  }

  #addCrd(text: string): void {
    for (const document of parseAllDocuments(text)) {
      const crd: unknown = document.toJS();
      if (at(crd, 'kind') !== 'CustomResourceDefinition') continue;
      for (const version of listAt(crd, 'spec', 'versions')) {
        const schema = strictly(at(version, 'schema', 'openAPIV3Schema')) as Record<string, unknown>;
        const group = `${at(crd, 'spec', 'group')}/${at(version, 'name')}`;
        this.#add(`${group} ${at(crd, 'spec', 'names', 'kind')}`, schema);
      }
    }
  }

  #add(key: string, schema: Record<string, unknown>): void {
    // Compiled when it is first asked for: most never are.
    const ajv = this.#ajv;
    let compiled: ValidateFunction | undefined;
    const validate = ((object: unknown) => {
      compiled ??= ajv.compile(schema);
      const result = compiled(object);
      validate.errors = compiled.errors ?? null;
      return result;
    }) as ValidateFunction;
    this.#kinds.set(key, validate);
  }
}
