import type { Clock } from '../clock.ts';
import type { JwtIssuerConfig } from '../config/schema.ts';
import type { Logger } from '../log.ts';
import { ALGORITHMS, isSymmetric } from './algorithms.ts';
import {
  type ConfiguredKeys,
  configuredKeys,
  invalid,
  loadConfiguredKeys,
  nameOfIssuer,
} from './configured-keys.ts';
import { type KeySetCounts, RemoteKeys, type Renewal } from './jwks.ts';
import type { VerificationKey } from './keys.ts';

/** One who signs tokens, as the config has it. A token is verified wholly with this, never with another's. */
export type JwtIssuerOptions = JwtIssuerConfig;

export interface IssuerContext {
  readonly clock: Clock;
  readonly log: Logger;
  readonly counts: Map<string, KeySetCounts>;
}

/** What a token's header says of its key. Compared, nothing else: no name in a token ever leads to a file or a URL. */
export interface KeyHint {
  readonly alg: string;
  readonly kid: string | undefined;
}

export interface Candidates {
  readonly keys: readonly VerificationKey[];
  /** Whether they are the ones that the token names: where none of them fits, no other will. */
  readonly named: boolean;
}

/** Keys tried for one token at most: each costs a signature check, and anybody can send tokens that name no key. */
export const MAX_KEYS_TRIED = 16;

export class Issuer {
  readonly options: JwtIssuerOptions;
  readonly #configured: readonly ConfiguredKeys[];
  readonly #remote: RemoteKeys | undefined;

  /** @throws SidestreamError CONFIG_INVALID — an unknown algorithm, no keys, a key that is not one, an unsafe URL */
  constructor(options: JwtIssuerOptions, context: IssuerContext) {
    const { algorithms, jwksUrl, jwksCaFile } = options;
    this.options = options;
    const place = nameOfIssuer(options);
    checkAlgorithms(algorithms, place);
    if (options.keys.length === 0 && jwksUrl === undefined)
      throw invalid(`${place} has neither keys nor a jwksUrl`);
    this.#configured = configuredKeys(options, context.log);
    this.#remote =
      jwksUrl === undefined
        ? undefined
        : new RemoteKeys(jwksUrl, jwksCaFile, options.jwks, { ...context, algorithms });
  }

  /** @throws SidestreamError CONFIG_INVALID — a configured key is unreadable, malformed, too short or of the wrong kind */
  async load(): Promise<void> {
    for (const configured of this.#configured) await configured.load();
  }

  /**
   * Says before it is relied on that every key is at hand, the remote ones too: a wrong URL must not lock everybody out.
   * @throws SidestreamError CONFIG_INVALID — a key is of no use, or the key set cannot be fetched
   */
  async prepare(): Promise<void> {
    await this.load();
    if (this.#remote === undefined || (await this.#remote.renew()) === 'known') return;
    throw invalid(`the key set of ${nameOfIssuer(this.options)} cannot be fetched; the log says why`);
  }

  /** @throws SidestreamError CONFIG_INVALID — a configured key, as it is now, is of no use; those that were read stay */
  async check(): Promise<void> {
    await loadConfiguredKeys(this.options);
  }

  /** Its key set's name, and attempts to fetch it. */
  get keySet(): Pick<RemoteKeys, 'name' | 'counts'> | undefined {
    return this.#remote;
  }

  /** Begins to fetch the remote keys; nobody waits for them. */
  fetch(): void {
    void this.#remote?.renew();
  }

  /**
   * Reads the files that changed, and begins to fetch remote keys that are old: where only known tokens come, nobody else
   * would notice that a key was withdrawn. Never rejects.
   */
  async reload(): Promise<void> {
    this.#remote?.current();
    for (const configured of this.#configured) await configured.reload();
  }

  stop(): void {
    this.#remote?.stop();
  }

  /** Its keys vouch for nothing any more. */
  withdraw(): void {
    this.stop();
    for (const { voucher } of this.#known()) voucher.isWithdrawn = true;
  }

  /** The keys to try: those that the token names by `kid`, or else those without one; all, where it names none. */
  candidates({ alg, kid }: KeyHint): Candidates {
    const serving = this.#known().filter(({ algorithms }) => algorithms.has(alg));
    const named = kid === undefined ? [] : serving.filter((key) => key.kid === kid);
    if (named.length > 0) return { keys: named.slice(0, MAX_KEYS_TRIED), named: true };
    const unnamed = kid === undefined ? serving : serving.filter((key) => key.kid === undefined);
    return { keys: unnamed.slice(0, MAX_KEYS_TRIED), named: false };
  }

  /** Asks the issuer for keys that are not known yet. `known`, where there is nobody to ask. */
  async renew({ alg }: KeyHint): Promise<Renewal> {
    return this.#remote === undefined || isSymmetric(alg) ? 'known' : this.#remote.renew();
  }

  #known(): VerificationKey[] {
    return [...this.#configured.flatMap(({ keys }) => keys), ...(this.#remote?.current() ?? [])];
  }
}

function checkAlgorithms(algorithms: readonly string[], place: string): void {
  const unknown = algorithms.find((name) => !ALGORITHMS.includes(name));
  if (unknown !== undefined)
    throw invalid(
      `${place} allows the algorithm ${JSON.stringify(unknown)}; possible are ${ALGORITHMS.join(', ')}`,
    );
  if (algorithms.length === 0) throw invalid(`${place} allows no algorithm: name those it signs with`);
}
