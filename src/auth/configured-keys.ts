import { readFile, stat } from 'node:fs/promises';
import type { JwtIssuerConfig, KeyConfig } from '../config/schema.ts';
import { messageOf, SidestreamError } from '../errors.ts';
import { createLog, type Logger } from '../log.ts';
import { parseKeySet } from './key-set.ts';
import {
  type KeyPurpose,
  keyFromJwk,
  keyFromPem,
  keyFromSecret,
  replaceKeys,
  type Unusable,
  type VerificationKey,
} from './keys.ts';

/** One entry of `keys:`. */
export type KeyOptions = KeyConfig;

export interface ConfiguredKeysContext {
  /** Where in the config, for errors: `key 2 of the issuer https://id.example.com`. */
  readonly place: string;
  /** The algorithms that the issuer allows. */
  readonly algorithms: readonly string[];
  readonly log: Logger;
}

/** An issuer, for errors. */
export function nameOfIssuer({ issuer }: Pick<JwtIssuerConfig, 'issuer'>): string {
  return issuer === undefined ? 'the issuer without a name' : `the issuer ${issuer}`;
}

/**
 * What the config itself has of an issuer's keys, not loaded yet.
 * @throws SidestreamError CONFIG_INVALID — an entry that names not exactly one key
 */
export function configuredKeys(
  issuer: Pick<JwtIssuerConfig, 'issuer' | 'algorithms' | 'keys'>,
  log: Logger,
): readonly ConfiguredKeys[] {
  const { algorithms, keys } = issuer;
  return keys.map((key, index) => {
    const place = `key ${index + 1} of ${nameOfIssuer(issuer)}`;
    return new ConfiguredKeys(key, { place, algorithms, log });
  });
}

const NO_LOG = createLog({ level: 'silent', format: 'json' }, { write: () => undefined });

/**
 * The same, loaded, for a command that runs once and logs nothing.
 * @throws SidestreamError CONFIG_INVALID — a key is unreadable, malformed, too short or of the wrong kind
 */
export async function loadConfiguredKeys(issuer: JwtIssuerConfig): Promise<readonly ConfiguredKeys[]> {
  const configured = configuredKeys(issuer, NO_LOG);
  for (const entry of configured) await entry.load();
  return configured;
}

type Form = 'secret' | 'publicKey' | 'jwk' | 'jwks';

interface Material {
  readonly form: Form;
  /** The key itself, or undefined where it stands in the file. */
  readonly value?: unknown;
  readonly file?: string;
}

/** What one entry of `keys:` gives: read at start and, where it is a file, again whenever that changes. */
export class ConfiguredKeys {
  readonly #material: Material;
  readonly #purpose: KeyPurpose;
  readonly #place: string;
  readonly #log: Logger;
  #keys: readonly VerificationKey[] = [];
  #skipped: readonly string[] = [];
  #fingerprint = '';

  /** @throws SidestreamError CONFIG_INVALID — not exactly one key is named */
  constructor(options: KeyOptions, { place, algorithms, log }: ConfiguredKeysContext) {
    this.#material = materialOf(options, place);
    this.#place = this.#material.file === undefined ? place : `${place}, ${this.#material.file},`;
    this.#purpose = { algorithms, algorithm: options.algorithm, kid: options.kid };
    this.#log = log;
  }

  get keys(): readonly VerificationKey[] {
    return this.#keys;
  }

  /** What a key set has besides: which key, and why it does not serve. */
  get skipped(): readonly string[] {
    return this.#skipped;
  }

  /** @throws SidestreamError CONFIG_INVALID — the key is unreadable, malformed, too short or of the wrong kind */
  async load(): Promise<void> {
    const { file, value } = this.#material;
    try {
      if (file === undefined) {
        this.#keys = this.#read(value);
        return;
      }
      // The fingerprint is of before: what changes while it is read is seen next time.
      this.#fingerprint = await fingerprint(file);
      this.#keys = replaceKeys(this.#keys, this.#read(decode(await readFile(file))));
    } catch (error) {
      const problem = messageOf(error);
      throw invalid(`${this.#place} ${problem}`, error);
    }
  }

  /** Reads the file again if it changed. Never rejects: what is wrong with it is logged, once, and the old keys stay. */
  async reload(): Promise<void> {
    const { file } = this.#material;
    if (file === undefined) return;
    try {
      const seen = await fingerprint(file).catch((error: unknown) => String(error));
      if (seen === this.#fingerprint) return;
      this.#fingerprint = seen;
      await this.load();
      this.#log.info({ file, keys: this.#keys.length }, 'read changed keys for tokens');
    } catch (error) {
      const problem = messageOf(error);
      this.#log.error({ file, error: problem }, 'cannot use changed keys for tokens; the old ones stay');
    }
  }

  /** @throws Error saying what is wrong, to follow the place */
  #read(value: unknown): readonly VerificationKey[] {
    if (this.#material.form === 'jwks') return this.#readSet(String(value));
    const key = readOne(this.#material.form, value, this.#purpose);
    if ('unusable' in key) throw new Error(key.unusable);
    return [key];
  }

  #readSet(json: string): readonly VerificationKey[] {
    const { keys, skipped } = parseKeySet(json, { ...this.#purpose, secrets: 'taken' });
    if (keys.length === 0) throw new Error(`holds no usable key: ${skipped.join('; ') || 'it is empty'}`);
    this.#skipped = skipped;
    if (skipped.length > 0) this.#log.warn({ file: this.#material.file, skipped }, 'skipped keys for tokens');
    return keys;
  }
}

function readOne(
  form: Exclude<Form, 'jwks'>,
  value: unknown,
  purpose: KeyPurpose,
): VerificationKey | Unusable {
  switch (form) {
    case 'secret':
      return keyFromSecret(String(value), purpose);
    case 'publicKey':
      return keyFromPem(String(value), purpose);
    case 'jwk':
      return keyFromJwk(value, purpose);
  }
}

function materialOf(options: KeyOptions, place: string): Material {
  const { secret, secretFile, publicKey, publicKeyFile, jwk, jwksFile } = options;
  const named: Material[] = [];
  if (secret !== undefined) named.push({ form: 'secret', value: secret });
  if (secretFile !== undefined) named.push({ form: 'secret', file: secretFile });
  if (publicKey !== undefined) named.push({ form: 'publicKey', value: publicKey });
  if (publicKeyFile !== undefined) named.push({ form: 'publicKey', file: publicKeyFile });
  if (jwk !== undefined) named.push({ form: 'jwk', value: jwk });
  if (jwksFile !== undefined) named.push({ form: 'jwks', file: jwksFile });
  const [material, another] = named;
  if (material === undefined || another !== undefined) {
    throw invalid(
      `${place} must have exactly one of secret, secretFile, publicKey, publicKeyFile, jwk, jwksFile; it has ${named.length}`,
    );
  }
  if (jwksFile !== undefined && options.kid !== undefined)
    throw invalid(`${place} has a kid beside its jwksFile, whose keys bring their own: remove it`);
  return material;
}

/**
 * Changes when the file does, also when a symbolic link comes to lead elsewhere, as a Kubernetes volume is updated.
 * Asking now and then is what works for both; a watch on a folder misses some file systems.
 */
async function fingerprint(file: string): Promise<string> {
  const entry = await stat(file);
  if (!entry.isFile()) throw new Error('is not a regular file');
  return `${entry.ino} ${entry.size} ${entry.mtimeMs}`;
}

function decode(content: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch {
    // TypeError: not UTF-8. Replacement characters would make a weak secret of it.
    throw new Error('is not text in UTF-8; a binary secret is given as a jwk {kty: oct, k: base64url}');
  }
}

/** The one kind of error that a configured key ends the start with. */
export function invalid(message: string, cause?: unknown): SidestreamError {
  return new SidestreamError('CONFIG_INVALID', message, { cause });
}
