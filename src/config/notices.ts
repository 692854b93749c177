import { canVerify } from './auth-rules.ts';
import type { Finding } from './findings.ts';
import type { Config } from './schema.ts';

/** What works but is probably not what was meant, or is less safe than it looks: the config is taken all the same. */
export function noticesOf(config: Config): Finding[] {
  return NOTICES.flatMap((check) => check(config));
}

const NOTICES = [
  checkUnused,
  checkUserLimit,
  checkQuery,
  checkCookies,
  checkTickets,
  checkSubjects,
  checkLinger,
  checkKeys,
  checkControl,
];

function checkUnused({ auth, channels }: Config): Finding[] {
  const isNeeded = Object.values(channels).some(
    ({ access, automatic }) => automatic === 'authenticated' || access.some(({ kind }) => kind !== 'public'),
  );
  if (isNeeded || !canVerify(auth)) return [];
  const message = 'is of no use: every route is public, so nobody needs a token; give routes another access';
  return [{ path: ['auth'], at: 'key', message }];
}

function checkUserLimit({ auth, limits }: Config): Finding[] {
  if (limits.connectionsPerUser === 0 || canVerify(auth)) return [];
  const message = 'limits nobody: without a way to check tokens under auth, nobody is known as a user';
  return [{ path: ['limits', 'connectionsPerUser'], message }];
}

function checkQuery({ auth, http }: Config): Finding[] {
  if (!canVerify(auth) || http.tls !== undefined) return [];
  const message =
    'takes tokens from URLs, which proxies on the way write into their logs, and this process serves no TLS: let only a proxy that does reach it';
  return auth.token.flatMap((place, index) =>
    place.in === 'query' ? [{ path: ['auth', 'token', index], message }] : [],
  );
}

function checkCookies({ auth, http: { cors } }: Config): Finding[] {
  const isCrossOrigin = cors.origins.length > 0 && !cors.credentials;
  if (!isCrossOrigin || !canVerify(auth) || !auth.token.some((place) => place.in === 'cookie')) return [];
  const message = 'is false, so pages of http.cors.origins cannot send the cookie that auth.token names';
  return [{ path: ['http', 'cors', 'credentials'], message }];
}

function checkTickets({ auth }: Config): Finding[] {
  if (auth.token.some((place) => place.in !== 'bearer')) return [];
  const message =
    'is for the URL of an EventSource, but auth.token names neither a query parameter nor a cookie: add query:ticket there';
  return auth.jwt.flatMap(({ ticket }, index) =>
    ticket === undefined ? [] : [{ path: ['auth', 'jwt', index, 'ticket'], at: 'key' as const, message }],
  );
}

/** `$SYS`, `$JS`, `$KV` and `_INBOX` are NATS's own; a wildcard in the first place takes them in. A stream holds but what it was told to. */
function checkSubjects({ channels }: Config): Finding[] {
  const message =
    "takes in subjects of NATS's own, such as other programs' replies: begin it with a token of yours";
  return Object.entries(channels).flatMap(([name, { subject, source }]) =>
    source.kind === 'core' && /^([$>*]|_INBOX\b)/.test(subject)
      ? [{ path: ['channels', name, 'subject'], message }]
      : [],
  );
}

/** A stream still has what a channel forgot. */
function checkLinger({ channels, sse }: Config): Finding[] {
  const message =
    'is shorter than the longest sse.retry, so a lone reader who reconnects finds its channel gone and is told a gap';
  return Object.entries(channels).flatMap(([name, { source, history, lingerMs }]) =>
    source.kind === 'core' && history.size > 0 && lingerMs < sse.retryMs.max
      ? [{ path: ['channels', name, 'linger'], message }]
      : [],
  );
}

function checkKeys({ channels }: Config): Finding[] {
  const message =
    'takes in several keys, which a page cannot tell apart: set envelope to true, or let event hold {subject}';
  return Object.entries(channels).flatMap(([name, { source, subject, envelope, event = '' }]) =>
    source.kind === 'kv' && /[*>]/.test(subject) && !envelope && !event.includes('{subject}')
      ? [{ path: ['channels', name, 'key'], message }]
      : [],
  );
}

function checkControl({ channels, sse }: Config): Finding[] {
  const isPromised = Object.values(channels).some(
    ({ source, replay }) => source.kind !== 'core' || replay.kind !== 'none',
  );
  if (sse.control || !isPromised) return [];
  const message =
    'is false, so that pages are not told where a route with stream, kv or replay has a gap: have them refetch whenever they reconnect';
  return [{ path: ['sse', 'control'], message }];
}
