import { readFile } from 'node:fs/promises';
import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import { invalid } from './configured-keys.ts';
import { download } from './download.ts';
import { parseKeySet } from './key-set.ts';
import { replaceKeys, type VerificationKey } from './keys.ts';

export interface JwksOptions {
  /** For one fetch, from the look-up of the host to the last byte. */
  readonly timeoutMs: number;
  /** At most one attempt in this time, however it ended and whatever asks for it. */
  readonly cooldownMs: number;
  /** The set is fetched anew when it is older; until that succeeds, the known keys go on working. */
  readonly maxAgeMs: number;
  readonly maxBytes: number;
}

/** Attempts to fetch a key set, and those of them that failed. */
export interface KeySetCounts {
  all: number;
  failed: number;
}

export interface RemoteKeysContext {
  /** The algorithms that the issuer allows. */
  readonly algorithms: readonly string[];
  readonly clock: Clock;
  readonly log: Logger;
  /** By the URL of the key set, as {@link RemoteKeys.name} has it. */
  readonly counts: Map<string, KeySetCounts>;
}

/**
 * `known`: the issuer was asked, now or within the cool-down, and what it has is known. `unavailable`: the last attempt
 * failed, so that nothing can be said about a key that is not known.
 */
export type Renewal = 'known' | 'unavailable';

/**
 * The keys of an issuer who publishes them under a URL, fetched when they are missing or old, never on a token's word
 * about where. jose's `createRemoteJWKSet` was not taken: when an aged set cannot be fetched anew it refuses the keys
 * it has, and its cool-down counts from the last success, so that an issuer who is down is asked for every token.
 */
export class RemoteKeys {
  /** The URL, without a password or a query, either of which may be a secret. */
  readonly name: string;
  readonly counts: KeySetCounts;
  readonly #url: URL;
  readonly #caFile: string | undefined;
  readonly #options: JwksOptions;
  readonly #context: RemoteKeysContext;
  readonly #stopped = new AbortController();
  #keys: readonly VerificationKey[] = [];
  #skipped: readonly string[] = [];
  #fetchedMs = Number.NEGATIVE_INFINITY;
  #attemptedMs = Number.NEGATIVE_INFINITY;
  #pending: Promise<void> | undefined;
  #renewal: Renewal = 'unavailable';

  /** @throws SidestreamError CONFIG_INVALID — not an https URL, nor an http one of this very machine */
  constructor(url: string, caFile: string | undefined, options: JwksOptions, context: RemoteKeysContext) {
    this.#url = parseUrl(url);
    this.#caFile = caFile;
    this.#options = options;
    this.#context = context;
    this.name = this.#url.origin + this.#url.pathname;
    this.counts = context.counts.get(this.name) ?? { all: 0, failed: 0 };
    context.counts.set(this.name, this.counts);
  }

  /** What is known now. Where it is old, or there is nothing yet, fetching begins; nobody waits for it here. */
  current(): readonly VerificationKey[] {
    const ageMs = this.#context.clock.now() - this.#fetchedMs;
    if (ageMs >= this.#options.maxAgeMs) void this.renew();
    return this.#keys;
  }

  /**
   * Fetches the set, unless that was tried within the cool-down; who asks while it is being fetched waits for the same.
   * Never rejects: a failure leaves the known keys and is logged and counted.
   */
  async renew(): Promise<Renewal> {
    const nowMs = this.#context.clock.now();
    if (this.#pending === undefined) {
      // From the last attempt's beginning, not from its success: 10,000 unknown key ids cost an issuer who is down one.
      if (nowMs - this.#attemptedMs < this.#options.cooldownMs || this.#stopped.signal.aborted)
        return this.#renewal;
      this.#attemptedMs = nowMs;
      this.#pending = this.#fetch().finally(() => {
        this.#pending = undefined;
      });
    }
    await this.#pending;
    return this.#renewal;
  }

  /** Gives up what is under way; nothing is fetched afterwards. */
  stop(): void {
    this.#stopped.abort(new Error('stopped'));
  }

  async #fetch(): Promise<void> {
    const { clock, log } = this.#context;
    this.counts.all += 1;
    try {
      const json = await this.#download();
      this.#take(json);
      this.#fetchedMs = clock.now();
      this.#renewal = 'known';
      log.info({ url: this.name, keys: this.#keys.length }, 'fetched the key set');
    } catch (error) {
      this.#renewal = 'unavailable';
      if (this.#stopped.signal.aborted) return;
      this.counts.failed += 1;
      const problem = messageOf(error);
      log.warn({ url: this.name, error: problem, keys: this.#keys.length }, 'cannot fetch the key set');
    }
  }

  async #download(): Promise<string> {
    const { timeoutMs, maxBytes } = this.#options;
    // Read each time: it is small, it is rare, and so a renewed authority is believed without a restart.
    const ca = this.#caFile === undefined ? undefined : await readFile(this.#caFile, 'utf8');
    return download({ url: this.#url, timeoutMs, maxBytes, ca, signal: this.#stopped.signal });
  }

  /** @throws Error where the text is no key set, or holds no key for us */
  #take(json: string): void {
    const { algorithms, log } = this.#context;
    const { keys, skipped } = parseKeySet(json, { algorithms, secrets: 'refused' });
    // An issuer who has withdrawn every key is believed: no token gets in. It counts as a failure all the same, so that
    // tokens are refused as overload and come back, should the empty set be an accident.
    this.#keys = replaceKeys(this.#keys, keys);
    const news = skipped.filter((line) => !this.#skipped.includes(line));
    this.#skipped = skipped;
    if (news.length > 0) log.info({ url: this.name, skipped: news }, 'skipped keys of the key set');
    if (keys.length === 0) throw new Error('holds no usable key');
  }
}

function parseUrl(text: string): URL {
  if (!URL.canParse(text)) throw invalid('a jwksUrl is not a URL: https://host/path is expected');
  const url = new URL(text);
  const isLocal = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLocal)) return url;
  throw invalid(
    `the jwksUrl ${url.origin}${url.pathname} must begin with https://: over plain http anybody on the way can put in keys of their own (allowed only on this machine: localhost, 127.0.0.1, [::1])`,
  );
}
