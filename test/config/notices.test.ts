import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatNotices, parseConfig, readConfig } from '../../src/config/load.ts';
import { temporaryFolder } from '../support/folder.ts';
import { FILE, noticesAtMarks, PRIVATE_ROUTE, ROUTE } from './marked.ts';

const CALLOUT = 'callout: { subject: auth.token }';

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
  });

  it('where a channel is given up before a lone reader can be back', () => {
    const route = (linger: string) =>
      `channels: { a: { channel: a, access: public, subject: a, linger: ${linger} } }\nsse: { retry: 3s..2m }\n`;
    expect(noticesAtMarks(route('▶1m'))).toEqual([
      'channels.a.linger: is shorter than the longest sse.retry, so a lone reader who reconnects finds its channel gone and is told a gap',
    ]);
    expect(noticesAtMarks(route('2m'))).toEqual([]);
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
