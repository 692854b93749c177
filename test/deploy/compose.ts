import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export const FOLDER = fileURLToPath(new URL('../../deploy/compose/', import.meta.url));

export interface Service {
  readonly image: string;
  readonly build?: unknown;
  readonly pull_policy?: string;
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly depends_on?: readonly string[] | Readonly<Record<string, unknown>>;
  readonly stop_grace_period?: string;
}

export interface ComposeFile {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
  readonly networks: {
    readonly default: { readonly ipam: { readonly config: readonly { subnet: string }[] } };
  };
}

/** `deploy/compose/compose.yaml`, with nothing set in the environment. */
export function readCompose(): ComposeFile {
  const text = readFileSync(`${FOLDER}compose.yaml`, 'utf8');
  return parse(
    text.replaceAll(/\$\{\w+:-([^}]*)\}/g, (_, otherwise: string) => otherwise),
    { merge: true },
  );
}

export interface Mount {
  /** On this machine, or the name of a volume. */
  readonly source: string;
  /** In the container. */
  readonly target: string;
}

export function mountsOf({ volumes = [] }: Service): Mount[] {
  return volumes.map((volume) => {
    const [source = '', target = ''] = volume.split(':');
    return {
      source: source.startsWith('.') ? fileURLToPath(new URL(source, `file://${FOLDER}`)) : source,
      target,
    };
  });
}

/** The file on this machine that a service has at a path. @throws Error where it has none there */
export function fileAt(service: Service, path: string): string {
  const mount = mountsOf(service).find(({ target }) => target === path || path.startsWith(`${target}/`));
  if (mount === undefined) throw new Error(`nothing is mounted at ${path}`);
  return mount.source + path.slice(mount.target.length);
}

/** The value of an option such as `--config` or `--config.file=`. */
export function option({ command = [] }: Service, name: string): string {
  const at = command.findIndex((word) => word === name || word.startsWith(`${name}=`));
  const word = command[at] ?? '';
  return word.includes('=') ? word.slice(word.indexOf('=') + 1) : (command[at + 1] ?? '');
}
