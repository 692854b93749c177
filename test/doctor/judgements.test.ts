import { describe, expect, it } from 'vitest';
import { judgeAddress } from '../../src/doctor/checks/address.ts';
import { judgeAnswer, judgeCors, judgeHeaders } from '../../src/doctor/checks/answer.ts';
import { type CodedSeen, judgeCoding } from '../../src/doctor/checks/codings.ts';
import { judgeDrain } from '../../src/doctor/checks/drain.ts';
import { judgeEvents } from '../../src/doctor/checks/events.ts';
import { judgeFirstBytes } from '../../src/doctor/checks/first-bytes.ts';
import { judgeConnect, judgeTls, judgeVersion } from '../../src/doctor/checks/reaching.ts';
import { judgeResume } from '../../src/doctor/checks/resume.ts';
import { judgeHeartbeats, judgeIdle, type Stay, type Stays } from '../../src/doctor/checks/staying.ts';
import { judgeStreams } from '../../src/doctor/checks/streams.ts';
import type { Finding } from '../../src/doctor/finding.ts';
import { proxyOf } from '../../src/doctor/proxy.ts';
import { REFUSAL_CODES } from '../../src/reasons.ts';

const URL_ = new URL('https://events.example.com/events/a');
const head = (status: number, headers: Record<string, string> = {}) => ({ status, headers, atMs: 0 });
const NGINX = proxyOf(head(200, { server: 'nginx/1.22.1' }));
const ANY = proxyOf(undefined);

/** The verdict, and what was said. */
const told = ({ verdict, measured, remedy = '' }: Finding) => `${verdict}: ${measured} → ${remedy}`;

describe('the answer', () => {
  const seen = (answer: ReturnType<typeof head> | undefined, body = '') => ({
    head: answer,
    open: undefined,
    close: undefined,
    body,
    isStream: false,
    ending: undefined,
  });

  it('is explained by the code where Sidestream refused, by status or in-band', () => {
    for (const [code, meaning] of Object.entries(REFUSAL_CODES)) {
      const body = JSON.stringify({ error: { code, message: 'not shown' } });
      const text = told(judgeAnswer(seen(head(403), body), URL_));
      expect(text).toContain(`problem: status 403: ${code}: ${meaning}`);
      expect(text).not.toContain('not shown');
      const close = { reason: 'overloaded', code, retryMs: 1, atMs: 0 };
      const inBand = judgeAnswer({ ...seen(head(200)), isStream: true, close }, URL_);
      expect(told(inBand)).toContain(`refused in-band, with 200: ${code}`);
    }
  });

  it.each([401, 403, 404, 418, 502, 503, 504, 505])(
    'of somebody else, %d, is not taken for Sidestream’s',
    (status) => {
      const text = told(judgeAnswer(seen(head(status), '{"error":{"code":"EVIL"}}'), URL_));
      expect(text).toContain(`status ${status}, not of Sidestream's making`);
      expect(text).not.toContain('EVIL');
    },
  );

  it('is no stream where the type is another, where nothing came, or where it ended at once', () => {
    expect(told(judgeAnswer(seen(head(200, { 'content-type': 'text/html' })), URL_))).toContain(
      'text/html, not',
    );
    const failed = { how: 'failed', code: 'ECONNRESET', atMs: 0 } as const;
    expect(told(judgeAnswer({ ...seen(undefined), ending: failed }, URL_))).toContain('ECONNRESET');
    const ended = { how: 'complete', atMs: 0 } as const;
    expect(told(judgeAnswer({ ...seen(head(200)), isStream: true, ending: ended }, URL_))).toMatch(
      /^problem/,
    );
  });

  it('is a redirection shown without its query', () => {
    const to = (location: string) => told(judgeAnswer(seen(head(301, { location })), URL_));
    expect(to('/events/b?token=s3cret')).toContain('to https://events.example.com/events/b →');
    expect(to('http://[')).toContain('to nowhere');
  });
});

it('headers: what must not be lost on the way, and what must not be added', () => {
  const good = {
    'content-type': 'text/event-stream',
    'cache-control': 'private, no-cache, no-store, no-transform',
  };
  expect(judgeHeaders(head(200, good)).verdict).toBe('ok');
  for (const bad of [
    { ...good, 'cache-control': 'max-age=60' },
    { ...good, 'content-type': 'text/event-stream; charset=utf-8' },
    { ...good, 'content-length': '100' },
    { 'content-type': 'text/event-stream' },
  ])
    expect(judgeHeaders(head(200, bad)).verdict).toBe('warning');
});

describe('CORS', () => {
  const origin = 'https://app.example.com';
  const judge = (headers: Record<string, string>, hasCookie = false) =>
    judgeCors({ origin, headers, hasCookie }).verdict;

  it.each([
    [{ 'access-control-allow-origin': origin }, false, 'ok'],
    [{ 'access-control-allow-origin': '*' }, false, 'ok'],
    [{ 'access-control-allow-origin': origin, 'access-control-allow-credentials': 'true' }, true, 'ok'],
    [{ 'access-control-allow-origin': origin }, true, 'problem'],
    [{ 'access-control-allow-origin': '*', 'access-control-allow-credentials': 'true' }, true, 'problem'],
    [{ 'access-control-allow-origin': `${origin}, ${origin}` }, false, 'problem'],
    [{ 'access-control-allow-origin': 'https://other.example' }, false, 'problem'],
    [{}, false, 'problem'],
  ])('%j, with cookies %s: %s', (headers, hasCookie, verdict) => {
    expect(judge(headers, hasCookie)).toBe(verdict);
  });

  it('wants the preflight answered where the page sends Authorization', () => {
    const headers = { 'access-control-allow-origin': origin };
    const preflight = (status: number, allowed: string) => ({
      ...{ status, body: '', tookMs: 1 },
      headers: { ...headers, 'access-control-allow-headers': allowed },
    });
    const judged = (answer: ReturnType<typeof preflight> | string) =>
      judgeCors({ origin, headers, hasCookie: false, preflight: answer }).verdict;
    expect(judged(preflight(204, 'Authorization, Cache-Control'))).toBe('ok');
    expect(judged(preflight(204, 'X-Authorization'))).toBe('problem');
    expect(judged(preflight(401, 'authorization'))).toBe('problem');
    expect(judged('TIMEOUT')).toBe('problem');
    // What may read the answer is asked of the preflight as well. Fetch standard, "CORS-preflight fetch".
    const other = { 'access-control-allow-origin': 'https://other.example' };
    const answer = preflight(204, 'authorization');
    expect(judged({ ...answer, headers: { ...answer.headers, ...other } })).toBe('problem');
    const credentials = { ...headers, 'access-control-allow-credentials': 'true' };
    const cookies = { origin, headers: credentials, hasCookie: true, preflight: answer };
    expect(judgeCors(cookies).verdict).toBe('problem');
  });
});

it('connection, TLS and version: what a browser would refuse is a problem, what it would bear a warning', () => {
  const reached = { addresses: ['192.0.2.1', '192.0.2.2'], lookupMs: 3 };
  expect(told(judgeConnect({ ...reached, connectMs: 2, remoteAddress: '192.0.2.1' }))).toContain(
    'one of 2 addresses',
  );
  expect(told(judgeConnect({ ...reached, failure: 'ECONNREFUSED' }))).toContain('nothing takes connections');
  expect(told(judgeConnect({ addresses: [], lookupMs: 1, failure: 'ENOTFOUND' }))).toContain(
    'does not resolve',
  );

  const tls = { tookMs: 5, version: 'TLSv1.3', protocol: 'h2', isUnverified: false } as const;
  expect(judgeTls({ ...tls, daysLeft: 60 }, URL_).verdict).toBe('ok');
  expect(judgeTls({ ...tls, daysLeft: 3 }, URL_).verdict).toBe('warning');
  expect(judgeTls({ ...tls, daysLeft: 3, lifetimeDays: 90 }, URL_).verdict).toBe('warning');
  // Let's Encrypt has some of six days, and some of 45.
  expect(judgeTls({ ...tls, daysLeft: 3, lifetimeDays: 6.7 }, URL_).verdict).toBe('ok');
  expect(judgeTls({ ...tls, daysLeft: 0, lifetimeDays: 6.7 }, URL_).verdict).toBe('warning');
  expect(judgeTls({ ...tls, daysLeft: 12, lifetimeDays: 45 }, URL_).verdict).toBe('ok');
  expect(told(judgeTls({ ...tls, failure: 'CERT_HAS_EXPIRED' }, URL_))).toContain(
    'not trusted: CERT_HAS_EXPIRED',
  );
  expect(told(judgeTls({ ...tls, version: '', failure: 'EPROTO' }, URL_))).toContain(
    'no handshake came about',
  );
  expect(judgeTls({ ...tls, failure: 'CERT_HAS_EXPIRED', isUnverified: true }, URL_).verdict).toBe('warning');
  expect(judgeTls(undefined, new URL('http://a.example/')).verdict).toBe('warning');

  expect(judgeVersion('h2', '', ANY).verdict).toBe('ok');
  expect(judgeVersion('h2', 'h3=":443"; ma=86400', ANY).values).toEqual({ protocol: 'h2', http3: true });
  expect(told(judgeVersion('http/1.1', '', NGINX))).toMatch(/^warning.*six connections.*nginx/);
});

it('the first bytes: held back, late, or of something else', () => {
  const base = { headMs: 5, byteMs: 6, openMs: 8, hasRetry: true, patienceMs: 10_000, isSilent: false };
  expect(judgeFirstBytes(base, ANY).verdict).toBe('ok');
  expect(told(judgeFirstBytes({ ...base, headMs: undefined, pollMs: 12 }, NGINX))).toMatch(
    /^problem.*long poll.*12 ms.*proxy_buffering/,
  );
  expect(
    told(judgeFirstBytes({ ...base, byteMs: undefined, openMs: undefined, hasRetry: false }, NGINX)),
  ).toContain('then nothing within 10.0 s');
  expect(told(judgeFirstBytes({ ...base, openMs: undefined, hasRetry: false }, ANY))).toMatch(
    /^problem.*no stream of Sidestream/,
  );
  expect(told(judgeFirstBytes({ ...base, openMs: undefined }, ANY))).toMatch(/^warning.*sse.control/);
  expect(judgeFirstBytes({ ...base, byteMs: 4000, openMs: 4000 }, ANY).verdict).toBe('warning');
  expect(told(judgeFirstBytes({ ...base, openMs: 4000 }, ANY))).toMatch(/^warning.*NATS/);
});

it('events: each as it is sent, slow, or held back', () => {
  const judge = (latenciesMs: number[], held: number, failure?: string) =>
    judgeEvents(
      'events',
      { sent: latenciesMs.length + held, latenciesMs, held, ...(failure && { failure }) },
      NGINX,
    );
  expect(judge([4, 9], 0).verdict).toBe('ok');
  expect(judge([4, 1900], 0).verdict).toBe('warning');
  expect(told(judge([4], 2))).toMatch(/^problem: 2 of 3.*proxy_buffering/);
  expect(told(judge([], 0, 'CONTROL_UNAUTHORIZED'))).toMatch(/^unmeasured.*does not take the token/);
  expect(told(judge([4], 0, 'STREAM_ENDED'))).toMatch(/^unmeasured.*see the check idle/);
});

describe('content codings', () => {
  const base: CodedSeen = {
    ...{
      coding: 'gzip',
      contentEncoding: 'gzip',
      isUndecodable: false,
      readMs: 5,
      hasOpen: true,
      mostTogether: 1,
      heartbeats: 2,
    },
    ...{ marked: undefined, who: 'bridge', patienceMs: 3000 },
  };
  it.each<[string, Partial<CodedSeen>, RegExp]>([
    ['compressed by the bridge', {}, /^ok.*heartbeats one by one; compressed by the bridge/],
    ['by nobody', { contentEncoding: 'identity' }, /^ok.*compressed by nobody/],
    ['by somebody', { who: 'unknown' }, /^ok.*cannot be told →/],
    ['by somebody else', { who: 'way' }, /^warning.*not by the bridge.*sse.compression/],
    [
      'a head that does not come',
      { contentEncoding: '', readMs: undefined },
      /^problem: no head.*gzip_types/,
    ],
    ['no sidestream.open to be read', { hasOpen: false }, /^ok: retry in 5 ms/],
    ['bytes that do not come', { readMs: undefined }, /^problem.*nothing of it could be read/],
    [
      'bytes that are something else',
      { isUndecodable: true, contentEncoding: 'x\u001b' },
      /^problem.*x\? cannot be decoded/,
    ],
    ['heartbeats together', { mostTogether: 3 }, /^problem: 3 heartbeats came together/],
    [
      'events held',
      { marked: { sent: 3, latenciesMs: [1], held: 2 } },
      /^problem: 2 of 3 events, gzip.*sse.compression/,
    ],
    ['refused', { refusal: 'refused with CONNECT_RATE: …' }, /^unmeasured: refused/],
  ])('%s', (_, seen, expected) => {
    expect(told(judgeCoding('gzip', { ...base, ...seen }, NGINX))).toMatch(expected);
  });
  it('one that this Node does not know', () => {
    expect(told(judgeCoding('zstd', undefined, ANY))).toMatch(/^unmeasured: Node v/);
  });
});

describe('a quiet stream', () => {
  const stay = (how: Stay['how'], ageMs: number, silentMs: number, reason?: string): Stay => ({
    ...{ how, ageMs, silentMs },
    ...(reason !== undefined && { reason }),
  });
  const stays = (list: Stay[], more: Partial<Stays> = {}): Stays => ({
    ...{ stays: list, intervalsMs: [], heartbeats: 0, mostTogether: 0, events: 0 },
    ...more,
  });

  it.each<[string, Stays, RegExp]>([
    ['that stays', stays([stay('here', 70_000, 9000)]), /^ok: open for 70 s/],
    [
      'that is cut for its silence',
      stays([stay('cut', 60_000, 60_000)]),
      /^problem: 1 stream cut off after 60 s.* 60 s before.*proxy_read_timeout.*heartbeat below 60 s/,
    ],
    [
      'that is cut for its age',
      stays([stay('cut', 15_000, 3000)], { intervalsMs: [5000, 5000] }),
      /^problem.*bounds how long a response may take/,
    ],
    [
      'that somebody ends in good order',
      stays([stay('complete', 60_000, 60_000)]),
      /^problem.*in good order, but not by the bridge/,
    ],
    ['that the bridge drains', stays([stay('farewell', 5000, 0, 'draining')]), /^ok.*draining/],
    ['that the bridge throws out', stays([stay('farewell', 5000, 0, 'revoked')]), /^warning.*revoked/],
  ])('%s', (_, seen, expected) => {
    expect(told(judgeIdle(seen, NGINX))).toMatch(expected);
  });

  it.each<[string, Stays, RegExp]>([
    [
      'with heartbeats',
      stays([stay('here', 70_000, 0)], {
        heartbeats: 4,
        intervalsMs: [14_000, 14_500, 14_200],
        mostTogether: 1,
      }),
      /^ok: 4, one every 14.2 s/,
    ],
    [
      'with heartbeats together',
      stays([stay('here', 70_000, 0)], { heartbeats: 4, mostTogether: 2 }),
      /^problem: 2 came together/,
    ],
    [
      'with rare ones',
      stays([stay('here', 200_000, 0)], { heartbeats: 3, intervalsMs: [60_000], mostTogether: 1 }),
      /^warning: one every 60 s/,
    ],
    ['with events instead', stays([stay('here', 70_000, 0)], { events: 400 }), /^ok: none was needed/],
    ['with nothing', stays([stay('here', 70_000, 70_000)]), /^warning: none within 70 s/],
    ['too short', stays([stay('here', 9000, 9000)]), /^unmeasured.*--idle/],
  ])('%s', (_, seen, expected) => {
    expect(told(judgeHeartbeats(seen, NGINX))).toMatch(expected);
  });
});

it('streams at once: all, some, limited, or with one retry for all', () => {
  const base = { asked: 7, opened: 7, tookMs: 20, retriesMs: [1, 2, 3, 4] };
  expect(judgeStreams(base).verdict).toBe('ok');
  expect(told(judgeStreams({ ...base, opened: 3, why: 'no answer came' }))).toMatch(
    /^problem: 3 of 7 streams/,
  );
  expect(told(judgeStreams({ ...base, opened: 3, code: 'CONNECTION_LIMIT_IP' }))).toMatch(/^warning.*limits/);
  expect(told(judgeStreams({ ...base, retriesMs: [5, 5, 5, 5] }))).toMatch(/^warning.*all at once/);
  expect(told(judgeStreams({ ...base, most: 3 }))).toMatch(/^warning.*no more than 3/);
  expect(judgeStreams({ ...base, asked: 0, opened: 0 }).verdict).toBe('unmeasured');
});

it('resuming: recovered, without its cursor, elsewhere, too late', () => {
  const judge = (resume: string, reason = '', query?: string) =>
    told(
      judgeResume({ header: [{ resume, reason }], ...(query && { query: [{ resume: query, reason: '' }] }) }),
    );
  expect(judge('recovered')).toMatch(/^ok/);
  expect(judge('live', '', 'recovered')).toMatch(/^problem.*though \?lastEventId= does/);
  expect(judge('live', '', 'live')).toMatch(/^problem: Last-Event-ID does not arrive:/);
  expect(judge('reset', 'epoch')).toMatch(/^warning.*another instance/);
  expect(judge('gap', 'evicted')).toMatch(/^warning.*gap \(evicted\)/);
  expect(told(judgeResume({ why: 'no cursor', header: [] }))).toMatch(/^unmeasured/);
});

it.each<[string, string, string, string | undefined, RegExp]>([
  ['203.0.113.5', '192.168.1.7', '198.51.100.1', undefined, /^ok.*as the internet|^ok.*how the internet/],
  ['192.168.1.7', '192.168.1.7', '192.168.1.1', undefined, /^ok.*as on this machine/],
  ['::ffff:192.168.1.7', '192.168.1.7', '192.168.1.1', undefined, /^ok.*as on this machine/],
  ['0:0:0:0:0:0:0:1', '::1', '::1', undefined, /^ok.*as on this machine/],
  ['fe80:0:0:0:0:0:0:a', 'fe80::a%eth0', 'fe80::1', undefined, /^ok.*as on this machine/],
  ['10.0.0.3', '192.168.1.7', '198.51.100.1', undefined, /^problem.*most likely the proxy/],
  ['fd00::3', '2001:db8::7', '2001:db8::1', undefined, /^problem.*most likely the proxy/],
  ['10.0.0.3', '192.168.1.7', '10.0.0.1', undefined, /^warning/],
  ['203.0.113.5', '192.168.1.7', '198.51.100.1', '203.0.113.77', /^problem.*forged/],
  ['203.0.113.5', '192.168.1.7', '198.51.100.1', '203.0.113.5', /^ok/],
])(
  'an address: the bridge sees %s, we are %s, the proxy is %s, forged %s',
  (seen, local, remote, forged, expected) => {
    expect(told(judgeAddress({ seen, local, remote, forged }, NGINX))).toMatch(expected);
  },
);

describe('a drain', () => {
  const base = {
    reason: 'draining',
    retryMs: 4000,
    ending: 'complete',
    attempts: ['open'],
    backMs: 4010,
  } as const;
  it.each<[string, Parameters<typeof judgeDrain>[0], RegExp]>([
    ['in good order', base, /^ok: told to come back after 4.0 s/],
    ['refused at first', { ...base, attempts: ['refused', 'failed', 'open'] }, /^ok.*attempt 3/],
    ['not told', { ...base, reason: undefined, ending: 'cut' }, /^problem.*\(cut\) without sidestream.close/],
    ['cut off', { ...base, ending: 'cut' }, /^problem.*cut off rather than ended/],
    ['answered 502', { ...base, attempts: ['refused', 502] }, /^problem.*502: a native EventSource/],
    ['not back', { ...base, attempts: ['refused', 'refused'] }, /^problem: no new stream.*2 attempts/],
    ['ended for something else', { ...base, reason: 'expired' }, /^unmeasured.*expired/],
    ['that did not come', { ...base, why: 'no stream was ended' }, /^unmeasured/],
  ])('%s', (_, seen, expected) => {
    expect(told(judgeDrain(seen))).toMatch(expected);
  });
});

it.each([
  [{ server: 'nginx/1.22.1' }, 'nginx'],
  [{ server: 'cloudflare', 'cf-ray': '7' }, 'Cloudflare'],
  [{ server: 'envoy' }, 'Envoy'],
  [{ via: '1.1 Caddy' }, 'Caddy'],
  [{ server: 'Caddy' }, 'Caddy'],
  [{ server: 'Apache/2.4' }, 'Apache'],
  [{}, 'whatever stands in front'],
])('who says %j is %s', (headers, name) => {
  expect(proxyOf(head(200, headers as Record<string, string>)).name).toBe(name);
});
