import { traceHeaders } from '../tracing/trace-context.ts';
import { Failed, malformed, readClaims, readObject } from './answer.ts';
import { AskingVerifier } from './asking-verifier.ts';
import type { Verification } from './identity.ts';
import { Service, type ServiceCounts, type ServiceDeps, type ServiceOptions } from './service.ts';

export interface IntrospectionOptions extends ServiceOptions {
  /** The endpoint; it may have a query, but no credentials. */
  readonly url: string;
  /** What we authenticate as; absent: not at all, for an endpoint that knows us by the network or a client certificate. */
  readonly clientId?: string | undefined;
  readonly clientSecret?: string | undefined;
  /** `aud` must name one of them. Absent or empty: not checked. */
  readonly audience?: readonly string[];
  /** `iss`, exactly. Absent: not checked. */
  readonly issuer?: string;
  /** Largest answer, in bytes. */
  readonly maxBytes: number;
}

/**
 * Asks the authorisation server whether a token is good. RFC 7662.
 * @throws TypeError — `url` is none or holds credentials
 */
export function createIntrospectionVerifier(
  options: IntrospectionOptions,
  deps: ServiceDeps,
  counts?: ServiceCounts,
): AskingVerifier {
  const url = endpoint(options.url);
  const own = requestHeaders(options);
  const service = new Service<Verification>('introspection', options, deps, counts);
  return new AskingVerifier(service, (token, { trace }) => async (signal) => {
    const headers = { ...own, ...traceHeaders(trace) };
    const body = new URLSearchParams({ token, token_type_hint: 'access_token' });
    // 'manual': a redirect would take the token to somebody whom the config does not name.
    const response = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal });
    if (response.status !== 200) return new Failed('status', `status ${response.status}`);
    const answer = await readAtMost(response, options.maxBytes);
    if (answer === undefined) return new Failed('too-large', `more than ${options.maxBytes} bytes`);
    return judge(answer, options, deps.clock.wall());
  });
}

// RFC 7662 2.2: `active` is all that is required, and only the boolean counts; all else is optional.
function judge(
  bytes: Uint8Array,
  options: Pick<IntrospectionOptions, 'audience' | 'issuer'>,
  wallMs: number,
): Verification | Failed {
  const answer = readObject(bytes);
  if (answer instanceof Failed) return answer;
  const { active, ...claims } = answer;
  if (active === true) {
    const stranger = strangerTo(options, claims);
    return stranger === undefined ? readClaims(claims, wallMs) : { rejected: 'invalid', detail: stranger };
  }
  if (active === false) return { rejected: 'invalid', detail: 'the authorisation server calls it inactive' };
  return malformed('`active` is neither true nor false');
}

/** Says why a token is not meant for us, or not by the issuer we trust: an authorisation server has other clients too. */
function strangerTo(
  { audience = [], issuer }: Pick<IntrospectionOptions, 'audience' | 'issuer'>,
  { aud, iss }: Readonly<Record<string, unknown>>,
): string | undefined {
  const named: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (audience.length > 0 && !audience.some((name) => named.includes(name)))
    return '`aud` names none of the audiences that are configured';
  return issuer === undefined || iss === issuer ? undefined : '`iss` is not the issuer that is configured';
}

function endpoint(text: string): URL {
  const url = new URL(text);
  // `fetch` refuses such a URL each time, with a message that quotes it.
  if (url.username !== '' || url.password !== '')
    throw new TypeError('the introspection URL holds credentials');
  return url;
}

function requestHeaders({ clientId, clientSecret = '' }: IntrospectionOptions): Record<string, string> {
  const headers = { Accept: 'application/json', 'Accept-Encoding': 'identity' };
  if (clientId === undefined) return headers;
  const credentials = `${formEncoded(clientId)}:${formEncoded(clientSecret)}`;
  return { ...headers, Authorization: `Basic ${Buffer.from(credentials).toString('base64')}` };
}

// RFC 6749 2.3.1: each half is form-encoded before Basic joins them, so a colon in the id does no harm.
function formEncoded(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1);
}

// Counted as it comes; what `Content-Length` says is not believed. Leaving the loop early closes the connection.
async function readAtMost(response: Response, maxBytes: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
