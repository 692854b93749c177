import type { Answer } from '../answer.ts';
import { type Finding, ok, problem, warning } from '../finding.ts';
import { trail } from '../proxy.ts';
import { meaningOf, refusalOf } from '../refusal.ts';
import type { Stream } from '../stream.ts';
import { foreign, span } from '../words.ts';

type Seen = Pick<Stream, 'head' | 'open' | 'close' | 'body' | 'isStream' | 'ending'>;

/** What to do about statuses that others than Sidestream answer with. */
const STATUS_REMEDIES: Readonly<Record<number, string>> = {
  401: 'the proxy asks for credentials of its own: let this path through, or bring them with --header',
  403: 'the proxy refuses it, perhaps as a firewall for applications does: let this path through',
  404: 'the proxy has no route for this path to the bridge, or sends it elsewhere: compare with http.path',
  502: 'the proxy does not reach the bridge: its address, its port, and whether the bridge runs',
  503: 'the proxy has no instance that is ready: see /readyz of the bridge, and the health check of the proxy',
  504: 'the bridge did not answer the proxy in time: see its log, and whether the proxy reaches the right port',
  505: 'the proxy speaks HTTP/1.0 to the bridge: proxy_http_version 1.1 on nginx (docs/proxies.md#nginx)',
};
const CODE_REMEDIES: Readonly<Record<string, string>> = {
  TOKEN_MISSING: 'bring a token: --token-file, --cookie, or in the URL, as auth.token of the config says',
  TOKEN_USED: 'a one-time ticket opens one stream, and more are needed here: bring another kind of token',
};

/** Of an answer that came, whether it is the stream. */
export function judgeAnswer(seen: Seen, url: URL): Finding {
  const { head, ending, isStream } = seen;
  if (head === undefined)
    return problem(
      'answer',
      `no answer came (${ending?.code ?? 'cut off'})`,
      'see the logs of the proxy, and of the bridge',
    );
  const { status, headers } = head;
  const values = { status };
  const code = refusalOf(seen);
  if (code !== undefined) {
    const measured = `${status === 200 ? 'refused in-band, with 200' : `status ${status}`}: ${code}: ${meaningOf(code)}`;
    return problem('answer', measured, CODE_REMEDIES[code] ?? 'docs/wire.md#refusals', { ...values, code });
  }
  if (status >= 300 && status < 400) return redirected(status, headers.location ?? '', url);
  if (status !== 200) return somebodyElses(head);
  if (!isStream) {
    const measured = `${foreign(headers['content-type'] ?? 'no content type')}, not text/event-stream: EventSource gives up for good`;
    return problem('answer', measured, 'see that the URL and the proxy’s route lead to the bridge', values);
  }
  if (seen.open === undefined && ending !== undefined) return endedAtOnce(ending.how, values);
  return ok('answer', '200, text/event-stream', values);
}

function somebodyElses(head: NonNullable<Seen['head']>): Finding {
  const { status } = head;
  const measured = `status ${status}, not of Sidestream's making; a native EventSource gives up for good`;
  const remedy =
    STATUS_REMEDIES[status] ?? `see the log of who answered (${trail(head) || 'no Server header'})`;
  return problem('answer', measured, remedy, { status });
}

function endedAtOnce(how: string, values: Finding['values']): Finding {
  const manner = how === 'complete' ? 'ended' : 'cut off';
  const remedy =
    'some proxies refuse so where they reach no bridge: its address, its port, and whether it runs (docs/proxies.md#when-no-bridge-answers)';
  return problem('answer', `200, text/event-stream, and ${manner} before sidestream.open`, remedy, values);
}

/** The target without its query, which may hold secrets. */
function redirected(status: number, location: string, url: URL): Finding {
  const target = URL.canParse(location, url.href) ? new URL(location, url.href) : undefined;
  const shown = target === undefined ? 'nowhere' : foreign(`${target.origin}${target.pathname}`);
  return problem(
    'answer',
    `status ${status}, to ${shown}`,
    'give pages the URL that it leads to: engines differ in where they reconnect to, and across origins a redirect needs CORS twice',
    { status },
  );
}

/** What of `Cache-Control` keeps a stream whole. RFC 9111 5.2.2. */
const DIRECTIVES = ['no-store', 'no-transform'];

export function judgeHeaders(head: NonNullable<Stream['head']>): Finding {
  const { headers } = head;
  const cacheControl = (headers['cache-control'] ?? '').toLowerCase();
  const missing = DIRECTIVES.filter((directive) => !cacheControl.split(/[\s,]+/).includes(directive));
  const faults = missing.map((directive) => `Cache-Control has lost ${directive}`);
  if (/;/.test(headers['content-type'] ?? '')) faults.push('Content-Type has got a parameter');
  if (headers['content-length'] !== undefined) faults.push('there is a Content-Length');
  const via = trail(head);
  // nginx takes it away once it has obeyed; who else passes it on.
  const accel = headers['x-accel-buffering'] === undefined ? '' : ', X-Accel-Buffering still there';
  const values = { server: foreign(headers.server ?? ''), via: foreign(headers.via ?? '') };
  if (faults.length === 0)
    return ok('headers', `as the bridge sends them${accel}${via === '' ? '' : ` (${via})`}`, values);
  const remedy =
    'have nobody on the way set these headers on this path: without them others may buffer, keep or compress the stream';
  return warning('headers', `${faults.join('; ')}${via === '' ? '' : ` (${via})`}`, remedy, values);
}

export interface CorsSeen {
  readonly origin: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Whether the page brings cookies (`withCredentials`). */
  readonly hasCookie: boolean;
  /** The answer to the preflight, where one is needed: for `Authorization`, by `fetch`. */
  readonly preflight?: Answer | string | undefined;
}

const ORIGINS = 'list the origin under http.cors.origins, and let only the bridge set these headers';

/** Fetch standard, "CORS check" and "CORS-preflight fetch". */
export function judgeCors({ origin, headers, hasCookie, preflight }: CorsSeen): Finding {
  const refused = corsFault({ origin, headers, hasCookie });
  if (refused !== undefined) return refused;
  if (preflight === undefined) return ok('cors', `${origin} may read it; an EventSource needs no preflight`);
  return judgePreflight(origin, hasCookie, preflight);
}

function corsFault({ origin, headers, hasCookie }: CorsSeen): Finding | undefined {
  const allowed = headers['access-control-allow-origin'];
  if (allowed === undefined) return problem('cors', `nothing allows ${origin} to read it`, ORIGINS);
  if (allowed.includes(','))
    return problem('cors', `Access-Control-Allow-Origin comes more than once: ${foreign(allowed)}`, ORIGINS);
  if (allowed !== origin && (allowed !== '*' || hasCookie))
    return problem('cors', `Access-Control-Allow-Origin is ${foreign(allowed)}, not ${origin}`, ORIGINS);
  if (hasCookie && headers['access-control-allow-credentials'] !== 'true')
    return problem('cors', 'a page may not bring its cookies', 'set http.cors.credentials: true');
  return undefined;
}

function judgePreflight(origin: string, hasCookie: boolean, preflight: Answer | string): Finding {
  const remedy = 'pass OPTIONS on to the bridge, which answers it; the token alone is not on it';
  if (typeof preflight === 'string')
    return problem('cors', `the preflight was not answered (${preflight})`, remedy);
  const { status, headers, tookMs } = preflight;
  const mayAuthorize = /(?:^|[\s,])authorization(?:$|[\s,])/i.test(
    headers['access-control-allow-headers'] ?? '',
  );
  const isAllowed = mayAuthorize && corsFault({ origin, headers, hasCookie }) === undefined;
  if (status >= 200 && status < 300 && isAllowed)
    return ok('cors', `${origin} may read it; preflight for Authorization ${span(tookMs)}`);
  return problem(
    'cors',
    `the preflight for Authorization was answered ${status}, and does not allow it`,
    remedy,
  );
}
