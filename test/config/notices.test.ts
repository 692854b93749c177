import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import zlib from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { formatNotices, parseConfig, readConfig } from '../../src/config/load.ts';
import { temporaryFolder } from '../support/folder.ts';
import { FILE, noticesAtMarks, PRIVATE_ROUTE, ROUTE } from './marked.ts';

const CALLOUT = 'callout: { subject: auth.token }';
const KEPT_LONG = ', history: { age: 1h }';

describe('a config that can be used, but is hardly meant so, gets a notice', () => {
  it('where tokens may be checked, but no route needs one', () => {
    expect(noticesAtMarks(`${ROUTE}▶auth: { ${CALLOUT} }`)).toEqual([
      'auth: is of no use: every route is public, so nobody needs a token; give routes another access',
    ]);
    expect(noticesAtMarks(`${PRIVATE_ROUTE}auth: { ${CALLOUT} }`)).toEqual([]);
    expect(
      noticesAtMarks(`channels: { a: { channel: a, subject: a, access: public, automatic: authenticated } }
auth: { ${CALLOUT} }`),
    ).toEqual([]);
  });

  it('where backends are to be told of members, but no route knows any', () => {
    const events = 'control: { events: [connected, ▶join, ▶leave, vacated, instances] }';
    expect(noticesAtMarks(ROUTE + events)).toEqual([
      'control.events[1]: is told of nobody: no route has presence',
      'control.events[2]: is told of nobody: no route has presence',
    ]);
    expect(
      noticesAtMarks(`channels: { a: { channel: a, subject: a, access: public, presence: true } }
control: { events: [join, leave] }`),
    ).toEqual([]);
  });

  it('where users are limited, but nobody is known as one', () => {
    expect(noticesAtMarks(`${ROUTE}limits: { connectionsPerUser: ▶5 }`)).toEqual([
      'limits.connectionsPerUser: limits nobody: without a way to check tokens under auth, nobody is known as a user',
    ]);
    expect(noticesAtMarks(`${PRIVATE_ROUTE}limits: { connectionsPerUser: 5 }\nauth: { ${CALLOUT} }`)).toEqual(
      [],
    );
  });

  it('where tokens stand in URLs that travel in the clear', () => {
    const query = (token: string) => `${PRIVATE_ROUTE}auth:\n  ${CALLOUT}\n  token: ${token}\n`;
    const message = /^auth\.token.*: takes tokens from URLs, .* no TLS/;
    expect(noticesAtMarks(query('[bearer, ▶query:token]'))).toEqual([expect.stringMatching(message)]);
    expect(noticesAtMarks(query('▶query:token'))).toEqual([expect.stringMatching(message)]);
    expect(noticesAtMarks(query('[bearer, "cookie:sid"]'))).toEqual([]);
    const folder = temporaryFolder();
    for (const name of ['a.crt', 'a.key']) writeFileSync(join(folder, name), 'x');
    const tls = 'http: { tls: { certFile: a.crt, keyFile: a.key } }\n';
    expect(noticesAtMarks(query('query:token') + tls, join(folder, 'c.yaml'))).toEqual([]);
  });

  it('where tokens that an issuer gives to other services would be good here too', () => {
    const message = /: is given without an audience: .* other services/;
    const found = (auth: string) => noticesAtMarks(`${PRIVATE_ROUTE}auth: { ${auth} }\n`);
    const jwt = (keys: string) => `jwt: { algorithms: RS256, ${keys} }`;
    const url = '"https://id.example.com/"';
    expect(found(jwt(`▶jwksUrl: ${url}`))).toEqual([expect.stringMatching(message)]);
    expect(found(jwt(`jwksUrl: ${url}, audience: events`))).toEqual([]);
    expect(found('jwt: { algorithms: HS256, keys: { secret: of-thirty-two-bytes-and-a-few-more } }')).toEqual(
      [],
    );
    expect(found(`▶introspection: { url: ${url} }`)).toEqual([expect.stringMatching(message)]);
    expect(found(`introspection: { url: ${url}, audience: events }`)).toEqual([]);
  });

  it('where a token is good, or a ticket’s stream lasts, longer than revocations', () => {
    const issuer = (keys: string) =>
      `${PRIVATE_ROUTE}auth:\n  token: [bearer, "cookie:t"]\n  jwt: { issuer: a, algorithms: [HS256], keys: [{ secret: ${'x'.repeat(40)} }], ${keys} }\n`;
    const end = 'longer than control.revocationTtl: after that, what was revoked is let in again';
    expect(noticesAtMarks(issuer('maxTokenAge: ▶2d'))).toEqual([
      `auth.jwt.maxTokenAge: lets a token be good ${end}`,
    ]);
    expect(noticesAtMarks(issuer('ticket: { session: ▶2d }'))).toEqual([
      `auth.jwt.ticket.session: lets a stream last ${end}`,
    ]);
    expect(noticesAtMarks(`${issuer('maxTokenAge: 2d')}control: { revocationTtl: 2d }`)).toEqual([]);
    expect(noticesAtMarks(issuer('ticket: { session: 1d }'))).toEqual([]);
  });

  it("where a route takes in NATS's own subjects", () => {
    const route = (subject: string) =>
      `channels: { a: { channel: a, access: public, subject: ▶"${subject}" } }`;
    const message =
      "channels.a.subject: takes in subjects of NATS's own, such as other programs' replies: begin it with a token of yours";
    for (const subject of ['>', '*.a', '$SYS.>', '_INBOX.>']) {
      expect(noticesAtMarks(route(subject)), subject).toEqual([message]);
    }
    for (const subject of ['a.>', 'a.*', '_INBOXES.a']) {
      expect(noticesAtMarks(route(subject).replace('▶', '')), subject).toEqual([]);
    }
    const stored = route('>').replace('▶', '').replace(' } }', ', stream: ALL } }');
    expect(noticesAtMarks(stored)).toEqual([]);
  });

  it('where a channel is given up before a lone reader can be back', () => {
    const route = (linger: string, more = '') =>
      `channels: { a: { channel: a, access: public, subject: a, linger: ${linger}${more} } }\nsse: { retry: 3s..2m }\n`;
    expect(noticesAtMarks(route('▶1m', KEPT_LONG))).toEqual([
      'channels.a.linger: is shorter than the longest sse.retry, so a lone reader who reconnects finds its channel gone and is told a gap',
    ]);
    expect(noticesAtMarks(route('2m', KEPT_LONG))).toEqual([]);
    // Nothing is lost where nothing was kept, or where a stream still has it.
    expect(noticesAtMarks(route('1m', ', history: { size: 0 }'))).toEqual([]);
    expect(noticesAtMarks(route('1m', ', stream: A'))).toEqual([]);
  });

  it('where a core route forgets an event before the browser that missed it is back', () => {
    const route = (history: string, more = '') =>
      `channels: { a: { channel: a, access: public, subject: a, linger: 1h, history: ${history}${more} } }\nsse: { retry: 3s..2m }\n`;
    const message =
      'channels.a.history.age: is shorter than the longest sse.retry, so what a reader missed may be gone before it is back, and it is told a gap';
    expect(noticesAtMarks(route('{ age: ▶119s }'))).toEqual([message]);
    expect(noticesAtMarks(route('{ size: 10 }').replace('history', '▶history'))).toEqual([message]);
    expect(noticesAtMarks(route('{ age: 2m }'))).toEqual([]);
    expect(noticesAtMarks(route('{ size: 0, age: 1m }'))).toEqual([]);
    expect(noticesAtMarks(route('{ age: 1m }', ', stream: A'))).toEqual([]);
  });

  it('where memory is filled from a stream with what it drops at once', () => {
    const route = (keys: string) =>
      `channels: { a: { channel: a, access: public, subject: a, stream: A, ${keys} } }\n`;
    const message =
      'channels.a.warm: is longer than history.age, and nothing older than that is kept: lower it, or raise that';
    expect(noticesAtMarks(route('warm: ▶2m, history: { age: 1m }'))).toEqual([message]);
    expect(noticesAtMarks(route('warm: ▶6m'))).toEqual([message]);
    for (const keys of ['warm: 1m, history: { age: 1m }', 'warm: 0s, history: { age: 1m }', 'warm: 5m']) {
      expect(noticesAtMarks(route(keys)), keys).toEqual([]);
    }
    expect(noticesAtMarks(route('history: { age: 1m }'))).toEqual([]);
  });

  it("where a bucket is named as lists of streams show it, by its stream's name", () => {
    const route = (kv: string) => `channels: { a: { channel: a, access: public, kv: ${kv}, key: a } }\n`;
    expect(noticesAtMarks(route('▶KV_settings'))).toEqual([
      'channels.a.kv: begins as the stream of a bucket does, not the bucket: did you mean settings?',
    ]);
    for (const kv of ['settings', 'KV', 'KV_', 'kv_settings', 'my_KV_x']) {
      expect(noticesAtMarks(route(kv)), kv).toEqual([]);
    }
  });

  it('where a channel has several keys, and nothing says which one an event is of', () => {
    const route = (key: string, more = '') =>
      `channels: { a: { channel: a, access: public, kv: b, key: ${key}${more} } }`;
    const message =
      'channels.a.key: takes in several keys, which a page cannot tell apart, least of all a deleted one: set envelope to true';
    for (const key of ['▶"*"', '▶">"', '▶a.*', '▶a.>']) {
      expect(noticesAtMarks(route(key)), key).toEqual([message]);
    }
    // An event that names the key does not do: a deletion is called `delete`, always.
    expect(noticesAtMarks(route('▶a.*', ', event: "{subject}"'))).toEqual([message]);
    expect(noticesAtMarks(route('a.b'))).toEqual([]);
    expect(noticesAtMarks(route('a.*', ', envelope: true'))).toEqual([]);
    expect(noticesAtMarks('channels: { a: { channel: a, access: public, subject: a.* } }')).toEqual([]);
  });

  it('where readers that are behind lose what they are not told of', () => {
    const route = (source: string, control: boolean) =>
      `channels: { a: { channel: a, access: public, ${source}, slow: ▶drop } }\nsse: { control: ${control} }\n`;
    expect(noticesAtMarks(route('subject: a', false))).toEqual([
      'channels.a.slow: loses events of readers that are behind, and with sse.control: false they are not told: write close',
    ]);
    expect(noticesAtMarks(route('subject: a', true).replace('▶', ''))).toEqual([]);
    expect(noticesAtMarks(route('kv: b, key: a', true))).toEqual([
      'channels.a.slow: may drop the newest value of a key, and a reader shows an older one until that changes again: write latest',
    ]);
    expect(noticesAtMarks(route('kv: b, key: a', true).replace('▶drop', 'latest'))).toEqual([]);
  });

  it('where one payload can keep a pattern busy for long', () => {
    const route = (pattern: string, event: string) =>
      `channels: { a: { channel: a, access: public, subject: a, redact: [/x, { pattern: ${pattern} }] } }\nlimits: { event: ${event} }\n`;
    expect(noticesAtMarks(route('▶"[ab]*a[ab]{100}"', '1MiB'))).toEqual([
      expect.stringMatching(
        /^channels\.a\.redact\[1\]\.pattern: may hold up everybody .*: about \d{4} ms for 1MiB$/,
      ),
    ]);
    for (const fine of [route('"[ab]*a[ab]{100}"', '4KiB'), route('"\\\\d{13,19}"', '1MiB')])
      expect(noticesAtMarks(fine)).toEqual([]);
  });

  it('where pages are promised the past, but cannot be told of its gaps', () => {
    const route = (source: string) =>
      `channels: { a: { channel: a, access: public, ${source} } }\nsse: { control: ▶false }\n`;
    for (const source of ['subject: a, stream: A', 'kv: b, key: a', 'subject: a, replay: last']) {
      expect(noticesAtMarks(route(source)), source).toEqual([
        'sse.control: is false, so that pages are not told where a route with stream, kv or replay has a gap: have them refetch whenever they reconnect',
      ]);
      expect(noticesAtMarks(route(source).replace('▶false', 'true')), source).toEqual([]);
    }
    expect(noticesAtMarks(route('subject: a').replace('▶', ''))).toEqual([]);
  });

  it('where a content coding is listed that this Node does not have', () => {
    const message = /^sse\.compression.*: cannot be had from this Node: zstd needs 22\.15 or newer/;
    const found = (list: string) =>
      noticesAtMarks(
        `${ROUTE}sse: { compression: ${'zstdCompressSync' in zlib ? list.replace('▶', '') : list} }`,
      );
    const expected = 'zstdCompressSync' in zlib ? [] : [expect.stringMatching(message)];
    expect(found('[gzip, ▶zstd]')).toEqual(expected);
    expect(found('▶zstd')).toEqual(expected);
    expect(found('[gzip]')).toEqual([]);
  });

  it('where pages of other origins cannot send the cookie that holds the token', () => {
    const cookies = (cors: string) =>
      `${PRIVATE_ROUTE}auth: { ${CALLOUT}, token: [bearer, "cookie:sid"] }\nhttp:\n  cors: ${cors}\n`;
    const message =
      'http.cors.credentials: is false, so pages of http.cors.origins cannot send the cookie that auth.token names';
    const origins = 'origins: [https://a.example]';
    expect(noticesAtMarks(cookies(`{ ${origins}, credentials: ▶false }`))).toEqual([message]);
    expect(noticesAtMarks(cookies(`{ ${origins} }`).replace('cors', '▶cors'))).toEqual([message]);
    expect(noticesAtMarks(cookies('{ origins: ["*"] }').replace('cors', '▶cors'))).toEqual([message]);
    expect(noticesAtMarks(cookies(`{ ${origins}, credentials: true }`))).toEqual([]);
    expect(noticesAtMarks(cookies('{ origins: [] }'))).toEqual([]);
  });
});

describe('notices', () => {
  it('are shown as file:line:column with the line and a caret, in the order of the file', () => {
    const text = `limits: { connectionsPerUser: 5 }\n${ROUTE}`;
    expect(formatNotices(parseConfig(text, FILE, {}).notices)).toBe(
      `${FILE}:1:31: notice: limits.connectionsPerUser: limits nobody: without a way to check tokens under auth, nobody is known as a user
    limits: { connectionsPerUser: 5 }
                                  ^`,
    );
    noticesAtMarks(`▶auth: { ${CALLOUT}, token: ▶query:t }\n${ROUTE}`);
  });

  it('do not show secrets that stand beside them', () => {
    const text = `${ROUTE}auth: { jwt: { algorithms: HS256, keys: { secret: "hunter2 hunter2 hunter2 hunter2 hunter2" } } }`;
    const shown = formatNotices(parseConfig(text, FILE, {}).notices);
    expect(shown).toContain('is of no use');
    expect(shown).not.toContain('hunter2');
  });

  it('come with the config that is read from a file', () => {
    const file = join(temporaryFolder(), 'config.yaml');
    writeFileSync(file, `${ROUTE}auth: { ${CALLOUT} }`);
    const { config, notices } = readConfig(file, {});
    expect(config.auth.callout?.subject).toBe('auth.token');
    expect(notices).toEqual([expect.objectContaining({ file, line: 3, column: 1, path: 'auth' })]);
  });
});
