import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { temporaryFile } from '../support/folder.ts';

/** The chart's folder. */
export const CHART = fileURLToPath(new URL('../../helm', import.meta.url));
const VALUES = fileURLToPath(new URL('values', import.meta.url));
/** The oldest that the chart takes, and the newest of which there are schemas. */
export const VERSIONS = ['1.29', '1.30'] as const;

/** Why no template can be rendered here, or `undefined` where they can. */
export const noHelm: string | undefined =
  process.env.SIDESTREAM_NO_HELM ?? (process.env.HELM_BIN === undefined ? 'there is no helm' : undefined);

if (noHelm !== undefined) console.warn(`The chart was not tested: ${noHelm}.`);

/** An object as the chart renders it. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: unknown;
  readonly data?: Readonly<Record<string, string>>;
}

export interface HelmResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs Helm to its end. */
export async function helm(...args: readonly string[]): Promise<HelmResult> {
  try {
    const options = { maxBuffer: 64 * 1024 * 1024 };
    const { stdout, stderr } = await promisify(execFile)(process.env.HELM_BIN ?? 'helm', args, options);
    return { code: 0, stdout, stderr };
  } catch (error) {
    // It ended with another status than 0.
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

/** The sets of values that stand beside this file: their names, and their files. */
export const valueSets: ReadonlyMap<string, string> = new Map(
  readdirSync(VALUES).map((file) => [basename(file, '.yaml'), join(VALUES, file)]),
);

/** One of these files. */
export function valueSet(name: string): string {
  const file = valueSets.get(name);
  if (file === undefined) throw new TypeError(`there are no values ${name}`);
  return file;
}

/** A file of values; JSON is YAML. */
export const valuesFile = (values: object): string => temporaryFile(JSON.stringify(values), 'values.yaml');

/** Values that are taken, for tests of something else; `more` replaces its keys at the top. */
export const TAKEN = {
  config: {
    nats: { servers: ['nats://nats.nats.svc:4222'] },
    channels: { prices: { channel: 'prices.{symbol}', subject: 'market.{symbol}', access: 'public' } },
  },
};

export interface Installation {
  /** Default: the newest. */
  readonly version?: string;
  readonly chart?: string;
  readonly release?: string;
  readonly namespace?: string;
}

/** `helm template` of a release called demo, unless another is asked for. */
export function template(
  files: readonly string[],
  { version = '1.30', chart = CHART, release = 'demo', namespace = 'live' }: Installation = {},
): Promise<HelmResult> {
  const values = files.flatMap((file) => ['--values', file]);
  const where = ['--namespace', namespace, '--kube-version', `${version}.0`];
  return helm('template', release, chart, ...where, ...values);
}

/** What is rendered. @throws Error with what Helm says, where it refuses */
export async function render(
  files: readonly string[],
  options: Installation = {},
): Promise<readonly KubernetesObject[]> {
  const { code, stdout, stderr } = await template(files, options);
  if (code !== 0) throw new Error(stderr);
  return parseObjects(stdout);
}

/** The objects in a text; the comments of Helm alone are none. */
export function parseObjects(text: string): readonly KubernetesObject[] {
  // As Helm and Kubernetes read it: `NO` is false there.
  const documents = parseAllDocuments(text, { version: '1.1' });
  return [...documents].flatMap((document): KubernetesObject[] => {
    if (document.errors[0] !== undefined) throw document.errors[0];
    const value: KubernetesObject | null = document.toJS();
    return value === null ? [] : [value];
  });
}

/** The one object of a kind. @throws Error where there is none, or where there are several */
export function only(objects: readonly KubernetesObject[], kind: string, suffix = ''): KubernetesObject {
  const found = objects.filter((object) => object.kind === kind && object.metadata.name.endsWith(suffix));
  const [first, second] = found;
  if (first === undefined || second !== undefined)
    throw new Error(`expected one ${kind}, there are ${found.length}`);
  return first;
}

/** What stands under keys and indices of an object; `undefined` where there is nothing. */
export function at(from: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (value, step) =>
      typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[step] : undefined,
    from,
  );
}

/** A list that must be there. */
export function listAt(from: unknown, ...path: readonly (string | number)[]): readonly unknown[] {
  const value = at(from, ...path);
  if (!Array.isArray(value)) throw new Error(`there is no list at ${path.join('.')}`);
  return value;
}

/** The config file that the chart makes. */
export function configOf(objects: readonly KubernetesObject[]): string {
  const text = objects.find(({ kind, data }) => kind === 'ConfigMap' && data?.['config.yaml'] !== undefined)
    ?.data?.['config.yaml'];
  if (text === undefined) throw new Error('no config was rendered');
  return text;
}

/** A file of the chart. */
export const chartFile = (path: string): string => readFileSync(join(CHART, path), 'utf8');

const rendered = new Map<string, Promise<readonly KubernetesObject[]>>();

/** What a set of values renders; each once for all tests of a file. */
export function objectsOf(set: string): Promise<readonly KubernetesObject[]> {
  const known = rendered.get(set) ?? render([valueSet(set)]);
  rendered.set(set, known);
  return known;
}
