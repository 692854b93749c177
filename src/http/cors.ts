import type { Config } from '../config/schema.ts';

type Header = readonly [name: string, value: string];

/** What a page may send besides the safelisted headers. A native EventSource sends none of them cross-origin. */
const ALLOWED_HEADERS = 'Authorization, Cache-Control, Last-Event-ID';
const STREAM_METHODS = ['GET'];
/** Seconds a preflight may be kept; Chromium's own cap. */
const PREFLIGHT_MAX_AGE_SECONDS = 7200;

/** CORS by exact origins (Fetch standard, "CORS protocol"). An origin that is not listed gets no header, never a reflected one. */
export class Cors {
  readonly #origins: ReadonlySet<string>;
  readonly #any: boolean;
  readonly #credentials: boolean;

  constructor({ origins, credentials }: Config['http']['cors']) {
    this.#origins = new Set(origins);
    this.#any = this.#origins.has('*');
    this.#credentials = credentials;
  }

  /** Headers for any answer, refusals included: without them a page cannot even read why. */
  headers(origin: string): readonly Header[] {
    if (this.#any)
      return [
        ['Access-Control-Allow-Origin', '*'],
        ['Access-Control-Expose-Headers', 'Retry-After'],
      ];
    if (this.#origins.size === 0) return [];
    // Answers differ by origin, so caches must know even where this one was not listed.
    const vary: Header = ['Vary', 'Origin'];
    if (!this.#origins.has(origin)) return [vary];
    const headers: Header[] = [
      vary,
      ['Access-Control-Allow-Origin', origin],
      ['Access-Control-Expose-Headers', 'Retry-After'],
    ];
    if (this.#credentials) headers.push(['Access-Control-Allow-Credentials', 'true']);
    return headers;
  }

  /** Headers of the answer to a preflight from `origin`, for what takes these methods. */
  preflight(origin: string, methods: readonly string[] = STREAM_METHODS): readonly Header[] {
    const headers = this.headers(origin);
    if (!headers.some(([name]) => name === 'Access-Control-Allow-Origin')) return headers;
    const hasBody = methods.includes('POST');
    return [
      ...headers,
      ['Access-Control-Allow-Methods', methods.join(', ')],
      ['Access-Control-Allow-Headers', hasBody ? `${ALLOWED_HEADERS}, Content-Type` : ALLOWED_HEADERS],
      ['Access-Control-Max-Age', String(PREFLIGHT_MAX_AGE_SECONDS)],
    ];
  }
}
