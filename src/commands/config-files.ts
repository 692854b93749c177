import { createHash } from 'node:crypto';
import { type Stats, statSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { ConfigError, type LoadedConfig, readConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';

/** A config, and its files as they were before they were read: what changes from then on is seen to have changed. */
export interface SeenConfig {
  readonly loaded: LoadedConfig;
  /** A fingerprint of the config's file and those that it names. */
  readonly seen: string;
}

/**
 * Reads and checks a config for the first time.
 * @throws ConfigError
 */
export function readAtStart(file: string): SeenConfig {
  const before = fingerprintNow([file]);
  const loaded = readConfig(file);
  const isSame = fingerprintNow([file]) === before;
  return { loaded, seen: isSame ? fingerprintNow([file, ...loaded.files]) : 'changed while it was read' };
}

/**
 * Reads and checks a config that was read before. Not from a pipe: it has been read empty, and without a writer it would hold the process.
 * @throws ConfigError
 */
export function readAgain(file: string): LoadedConfig {
  if (!isPipe(file)) return readConfig(file);
  const message = 'is not a regular file: it cannot be read again';
  throw new ConfigError('CONFIG_UNREADABLE', [{ file, line: 1, column: 1, path: '', message }]);
}

function isPipe(file: string): boolean {
  try {
    const stats = statSync(file);
    return !stats.isFile() && !stats.isDirectory();
  } catch {
    // ENOENT, EACCES and the like, which who reads it says
    return false;
  }
}

/**
 * Text that changes when one of the files does, also when a symbolic link comes to lead elsewhere, as a Kubernetes volume is updated. Asking
 * now and then works on every file system; a watch (inotify) tells nothing on network mounts, and of a link only that it is there.
 */
export async function fingerprintOf(files: readonly string[]): Promise<string> {
  const prints = await Promise.all(files.map(fingerprint));
  return prints.join('\n');
}

async function fingerprint(file: string): Promise<string> {
  try {
    return toText(await stat(file));
  } catch (error) {
    return String(error);
  }
}

/** The same, at once: for the start. */
export function fingerprintNow(files: readonly string[]): string {
  const prints = files.map((file) => {
    try {
      return toText(statSync(file));
    } catch (error) {
      return String(error);
    }
  });
  return prints.join('\n');
}

// The time of the last change besides that of the last writing: `cp -p`, `rsync -t` and reproducible archives set the latter to what it was.
function toText({ dev, ino, size, mtimeMs, ctimeMs }: Stats): string {
  return `${dev} ${ino} ${size} ${mtimeMs} ${ctimeMs}`;
}

/** By the key that names it: what stood in a file that is read only as the process starts. */
export type Contents = ReadonlyMap<string, string>;

/** What stands now in the files that are read only as the process starts. */
export async function contentsOf({ http, nats }: Config): Promise<Contents> {
  const files: [string, string | undefined][] = [
    ['http.tls.certFile', http.tls?.certFile],
    ['http.tls.keyFile', http.tls?.keyFile],
    ['nats.auth.credsFile', nats.auth.credsFile],
    ['nats.auth.nkeySeedFile', nats.auth.nkeySeedFile],
    ['nats.tls.caFile', nats.tls?.caFile],
    ['nats.tls.certFile', nats.tls?.certFile],
    ['nats.tls.keyFile', nats.tls?.keyFile],
  ];
  const named = files.filter((entry): entry is [string, string] => entry[1] !== undefined);
  return new Map(
    await Promise.all(
      named.map(async ([key, file]): Promise<[string, string]> => [key, await digestOf(file)]),
    ),
  );
}

/** The keys whose files hold something else than before. */
export function changedContents(before: Contents, now: Contents): string[] {
  return [...now]
    .filter(([key, digest]) => before.has(key) && before.get(key) !== digest)
    .map(([key]) => key);
}

async function digestOf(file: string): Promise<string> {
  try {
    return createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
  } catch (error) {
    return String(error);
  }
}
