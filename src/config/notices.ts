import zlib from 'node:zlib';
import { compilePattern, Pattern } from '../routing/pattern.ts';
import { canVerify } from './auth-rules.ts';
import type { Finding } from './findings.ts';
import type { Config } from './schema.ts';
import { formatSize } from './units.ts';
import { checkShares, checkWorkers } from './worker-notices.ts';

/** So long a single payload may hold up all others for the sake of one pattern, in milliseconds, before `check` speaks of it. */
const MAX_PATTERN_MS = 100;

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
  checkRevocations,
  checkAudience,
  checkSubjects,
  checkLinger,
  checkAge,
  checkPresence,
  checkBackendEvents,
  checkWarm,
  checkBucket,
  checkKeys,
  checkControl,
  checkSlow,
  checkPatterns,
  checkCompression,
  checkWorkers,
  checkShares,
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

/** Keys that stand in the config may well be for this service alone; who publishes keys or answers questions has other clients. */
function checkAudience({ auth: { jwt, introspection } }: Config): Finding[] {
  const message =
    'is given without an audience: what the same issuer gives to other services is good here too; name the audience that is meant for this one';
  const findings = jwt.flatMap(({ jwksUrl, audience }, index): Finding[] =>
    jwksUrl !== undefined && audience.length === 0
      ? [{ path: ['auth', 'jwt', index, 'jwksUrl'], at: 'key', message }]
      : [],
  );
  if (introspection?.audience.length === 0)
    findings.push({ path: ['auth', 'introspection'], at: 'key', message });
  return findings;
}

/** Without `maxTokenAge` a token may be good for any time; of one that is, the log tells. */
function checkRevocations({ auth, control: { revocationTtlMs } }: Config): Finding[] {
  const end = 'longer than control.revocationTtl: after that, what was revoked is let in again';
  return auth.jwt.flatMap(({ ticket, maxTokenAgeMs }, index) => {
    const path = ['auth', 'jwt', index];
    if (ticket !== undefined && ticket.sessionMs > revocationTtlMs)
      return [{ path: [...path, 'ticket', 'session'], message: `lets a stream last ${end}` }];
    return ticket === undefined && maxTokenAgeMs > revocationTtlMs
      ? [{ path: [...path, 'maxTokenAge'], message: `lets a token be good ${end}` }]
      : [];
  });
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

/** Who reconnects in time has never been away. */
function checkPresence({ channels, sse }: Config): Finding[] {
  const message =
    'has a leaveAfter that is shorter than the longest sse.retry, so whoever reconnects may be said to have left and to have joined again';
  const silent =
    'is said by control events, and sse.control is false: nobody in a stream is told who comes and goes';
  return Object.entries(channels).flatMap(([name, { presence }]): Finding[] => {
    if (presence === undefined) return [];
    const path = ['channels', name, 'presence'];
    if (presence.leaveAfterMs < sse.retryMs.max) return [{ path, at: 'key', message }];
    const isSilent = presence.events && presence.access === 'readers' && !sse.control;
    return isSilent ? [{ path, at: 'key', message: silent }] : [];
  });
}

function checkBackendEvents({ channels, control: { events } }: Config): Finding[] {
  if (Object.values(channels).some(({ presence }) => presence !== undefined)) return [];
  const message = 'is told of nobody: no route has presence';
  return events.flatMap((event, index) =>
    event === 'join' || event === 'leave' ? [{ path: ['control', 'events', index], message }] : [],
  );
}

function checkAge({ channels, sse }: Config): Finding[] {
  const message =
    'is shorter than the longest sse.retry, so what a reader missed may be gone before it is back, and it is told a gap';
  return Object.entries(channels).flatMap(([name, { source, history }]) =>
    source.kind === 'core' && history.size > 0 && history.ageMs < sse.retryMs.max
      ? [{ path: ['channels', name, 'history', 'age'], message }]
      : [],
  );
}

function checkWarm({ channels }: Config): Finding[] {
  const message = 'is longer than history.age, and nothing older than that is kept: lower it, or raise that';
  return Object.entries(channels).flatMap(([name, { source, history }]) =>
    source.kind === 'stream' && source.warmMs > history.ageMs
      ? [{ path: ['channels', name, 'warm'], message }]
      : [],
  );
}

/** ADR-8: the bucket `x` is the stream `KV_x`, which is what lists of streams show. */
function checkBucket({ channels }: Config): Finding[] {
  const message = 'begins as the stream of a bucket does, not the bucket';
  return Object.entries(channels).flatMap(([name, { source }]) => {
    const [, bucket] = source.kind === 'kv' ? (/^KV_(.+)$/.exec(source.bucket) ?? []) : [];
    const path = ['channels', name, 'kv'];
    return bucket === undefined ? [] : [{ path, message, detail: `did you mean ${bucket}?` }];
  });
}

/** A deletion is called `delete` whatever the route's `event` says, so that does not help. */
function checkKeys({ channels }: Config): Finding[] {
  const message =
    'takes in several keys, which a page cannot tell apart, least of all a deleted one: set envelope to true';
  return Object.entries(channels).flatMap(([name, { source, subject, envelope }]) =>
    source.kind === 'kv' && /[*>]/.test(subject) && !envelope
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

/** What is dropped is told as a gap, which is of no use to values, and is not told at all without control events. */
function checkSlow({ channels, sse }: Config): Finding[] {
  const quiet = 'loses events of readers that are behind, and with sse.control: false they are not told';
  const stale =
    'may drop the newest value of a key, and a reader shows an older one until that changes again: write latest';
  return Object.entries(channels).flatMap(([name, { source, slow }]): Finding[] => {
    if (slow !== 'drop') return [];
    const path = ['channels', name, 'slow'];
    if (source.kind === 'kv') return [{ path, message: stale }];
    return sse.control ? [] : [{ path, message: `${quiet}: write close` }];
  });
}

function checkPatterns({ channels, limits }: Config): Finding[] {
  return Object.entries(channels).flatMap(([name, { redact }]) =>
    redact.flatMap((rule, index): Finding[] => {
      const compiled = rule.kind === 'pattern' && compilePattern(rule.pattern, rule.flags);
      if (!(compiled instanceof Pattern)) return [];
      const worstMs = compiled.worstMs(limits.eventBytes);
      if (worstMs <= MAX_PATTERN_MS) return [];
      const message =
        'may hold up everybody for long by one payload that is made for it: write a simpler pattern, or lower limits.event';
      const detail = `about ${Math.round(worstMs)} ms for ${formatSize(limits.eventBytes)}`;
      return [{ path: ['channels', name, 'redact', index, 'pattern'], message, detail }];
    }),
  );
}

function checkCompression({ sse }: Config): Finding[] {
  if ('zstdCompressSync' in zlib) return [];
  const message =
    'cannot be had from this Node: zstd needs 22.15 or newer; clients are given what else is listed, or no compression';
  return sse.compression.flatMap((coding, index) =>
    coding === 'zstd' ? [{ path: ['sse', 'compression', index], message }] : [],
  );
}
