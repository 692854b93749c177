import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { RouteConfig } from '../../src/config/schema.ts';
import { keyAt, parse, problemsAtMarks, problemsOf, ROUTE } from './marked.ts';

/** The config of one route, written in one line behind what every route needs. */
const written = (keys: string) =>
  `channels:\n  a: { channel: "a.{x}", access: public, ${keys} }\n`.replace('core', 'subject: "a.{x}"');

function routeOf(keys: string): RouteConfig {
  return parse(written(keys)).channels.a ?? expect.fail('the route is not there');
}

/** What is said of a value, without the place that a mark must show. */
const problemAt = (keys: string) => {
  const [problem, ...others] = problemsAtMarks(written(keys));
  expect(others).toEqual([]);
  return problem?.replace(/^channels\.a\./, '');
};

describe('a rate limit', () => {
  it('may be a rate alone: what one second is good for at once, and the rest dropped', () => {
    expect(routeOf('core, rateLimit: 100/s').rateLimit).toEqual({
      ratePerSecond: 100,
      burst: 100,
      over: 'drop',
    });
    expect(routeOf('core, rateLimit: { rate: 90/m }').rateLimit).toMatchObject({ burst: 1 });
    expect(routeOf('core, rateLimit: 6/m').rateLimit).toMatchObject({ ratePerSecond: 0.1, burst: 1 });
  });

  it.each([
    [
      'core, rateLimit: ▶100',
      'rateLimit: expected a rate like 2000/s, from 1/h to 1000000/s, or a mapping like { rate: 100/s, over: latest }, got the number 100: rates need a unit: 100/s or 100/m',
    ],
    ['core, ▶rateLimit: { over: latest }', 'rateLimit.rate: is required: the rate, like 100/s'],
    [
      'core, rateLimit: { rate: 1/s, over: ▶lastest }',
      'rateLimit.over: expected drop or latest, got the text "lastest": did you mean latest?',
    ],
    [
      'core, rateLimit: { rate: 1/s, ▶bursts: 3 }',
      'rateLimit.bursts: is not a key here: did you mean burst?',
    ],
  ])('%s is told what is wrong', (keys, problem) => expect(problemAt(keys)).toBe(problem));
});

describe('a rate limit of a key-value route', () => {
  const message =
    'rateLimit: cannot drop what is over the rate with kv, where readers would keep an old value: write { rate: 100/s, over: latest } with your rate, or throttle';

  it.each(['▶100/s', '▶{ rate: 100/s, over: drop }', '▶{ rate: 100/s }'])(
    'may not drop the last value: %s',
    (rateLimit) => expect(problemAt(`kv: b, key: "a.{x}", rateLimit: ${rateLimit}`)).toBe(message),
  );

  it('may hold the latest of each key', () => {
    const { rateLimit } = routeOf('kv: b, key: "a.{x}", rateLimit: { rate: 1/s, over: latest }');
    expect(rateLimit).toMatchObject({ over: 'latest' });
  });
});

describe('a batch', () => {
  it('may be a time alone, which gathers events', () => {
    expect(routeOf('core, batch: 100ms').batch).toEqual({ windowMs: 100, as: 'events' });
    expect(routeOf('core').batch).toBeUndefined();
  });

  it.each([
    [
      'core, slow: latest, batch: { window: 1s, as: ▶array }',
      'batch.as: cannot be array with slow: latest, since a batch is no value of any key: write events',
    ],
    [
      'kv: b, key: "a.{x}", batch: { window: 1s, as: ▶array }',
      'batch.as: cannot be array with kv, where each value must be known by its key: write events',
    ],
    [
      'core, batch: ▶0s',
      'batch: expected a duration like 15s, from 100ms to 1m, or a mapping like { window: 250ms, as: array }, got the text "0s"',
    ],
  ])('%s is told what is wrong', (keys, problem) => expect(problemAt(keys)).toBe(problem));
});

describe('what replaces what', () => {
  it.each(['slow: latest', 'throttle: 1s', 'rateLimit: { rate: 1/s, over: latest }'])(
    'is a subject, or a value of the payload, where %s asks',
    (user) => {
      expect(routeOf(`core, ${user}`).latestBy).toBe('subject');
      expect(routeOf(`core, ${user}, latestBy: /a/0/b`).latestBy).toEqual({ pointer: ['a', '0', 'b'] });
    },
  );

  it.each([
    [
      'core, rateLimit: 1/s, ▶latestBy: /a',
      'latestBy: is of no use: no event replaces another without slow: latest, throttle, or a rateLimit with over: latest',
    ],
    [
      'kv: b, key: "a.{x}", slow: latest, ▶latestBy: subject',
      'latestBy: is given beside kv, where the key says what replaces what: take it out',
    ],
    [
      'core, throttle: 1s, latestBy: ▶/a/*',
      'latestBy: expected subject, or a JSON pointer like /symbol, got the text "/a/*"',
    ],
    [
      'core, throttle: 1s, redact: /a, latestBy: ▶/a/b',
      'latestBy: leads to what redact replaces, so that there is nothing to read',
    ],
  ])('%s is told what is wrong', (keys, problem) => expect(problemAt(keys)).toBe(problem));
});

describe('what is replaced in payloads', () => {
  it('is a pointer, a pattern, or several of both', () => {
    expect(routeOf('core, redact: /a/~0~1').redact).toEqual([
      { kind: 'pointer', pointer: ['a', '~/'], replacement: '[redacted]' },
    ]);
    expect(routeOf('core, redact: [{ pointer: /a, with: x }, { pattern: "\\\\d" }]').redact).toEqual([
      { kind: 'pointer', pointer: ['a'], replacement: 'x' },
      { kind: 'pattern', pattern: '\\d', flags: '', replacement: '[redacted]' },
    ]);
  });

  it.each([
    [
      'core, redact: ▶user',
      'redact: expected a JSON pointer like /user/email, in which ~1 stands for / and ~0 for ~, or a mapping with keys like pointer, pattern, flags, got the text "user": begin it with /',
    ],
    [
      'core, redact: [/a, ▶/b~2]',
      'redact[1]: expected a JSON pointer like /user/email, in which ~1 stands for / and ~0 for ~, or a mapping with keys like pointer, pattern, flags, got the text "/b~2"',
    ],
    [
      'core, redact: [/a, { pattern: ▶"(a" }]',
      'redact[1].pattern: is not a usable regular expression: Invalid regular expression: /(a/u: Unterminated group',
    ],
    [
      'core, redact: { pattern: ▶"(?=a)b" }',
      'redact.pattern: is not a usable regular expression: it has a look-around, a flag or a named group; only (…) and (?:…) are supported',
    ],
    [
      'core, redact: { pattern: a, flags: ▶g }',
      'redact.flags: expected i (any case), s (a dot matches line breaks too) or is, got the text "g"',
    ],
    [
      'core, redact: { pattern: ▶"(){4294967295}" }',
      'redact.pattern: is not a usable regular expression: it counts to more than 1000 in braces',
    ],
    ['core, redact: ▶{ with: x }', 'redact: says nothing of what to replace: give it a pointer or a pattern'],
    ['core, redact: { pointer: /a, ▶flags: i }', 'redact.flags: is of no use without a pattern: take it out'],
    [
      'core, redact: { pointer: /a, ▶pattern: b }',
      'redact.pattern: is given beside pointer: write two entries',
    ],
    [
      'core, binary: true, ▶redact: /a',
      'redact: reads payloads as text, and binary says that they are none: take one of the two out',
    ],
  ])('%s is told what is wrong', (keys, problem) => expect(problemAt(keys)).toBe(problem));
});

describe('what is read from payloads', () => {
  it.each([
    [
      'core, redact: /user/*, map: { event: ▶/user/type }',
      'map.event: leads to what redact replaces, so that there is nothing to read',
    ],
    [
      'core, redact: { pointer: /a }, map: { id: ▶/a }',
      'map.id: leads to what redact replaces, so that there is nothing to read',
    ],
    [
      'core, map: { event: ▶/a/* }',
      'map.event: expected a JSON pointer like /type, in which ~1 stands for / and ~0 for ~, got the text "/a/*": it must lead to one value, so it may not hold *',
    ],
    [
      'core, ▶trace: true',
      'trace: needs envelope: true, for an event has no other place where a page could read it',
    ],
    [
      'core, binary: true, ▶map: { event: /a }',
      'map: reads payloads as text, and binary says that they are none: take one of the two out',
    ],
    [
      'core, stream: S, map: { ▶id: /a }',
      'map.id: is of no use here: duplicates are known to the stream by Nats-Msg-Id, and without envelope nobody is sent it',
    ],
  ])('%s is told what is wrong', (keys, problem) => expect(problemAt(keys)).toBe(problem));

  it('may lie beside what is replaced, and hold some of it', () => {
    expect(routeOf('core, redact: [/user/email, /a/b/c], map: { event: /user/type, id: /a/b }').map).toEqual({
      event: ['user', 'type'],
      id: ['a', 'b'],
    });
    expect(routeOf('core, stream: S, envelope: true, map: { id: /a }').map).toEqual({ id: ['a'] });
  });
});

describe('what waits for all slow readers', () => {
  it('is no less than what may wait for one', () => {
    const text = `${ROUTE}${keyAt(['limits'], { pending: '2MiB', pendingTotal: '1MiB' })}`;
    expect(problemsOf(text).map(({ path, message }) => `${path}: ${message}`)).toEqual([
      'limits.pendingTotal: is less than limits.pending lets wait for one reader: raise it, or lower that: 1MiB against 2MiB',
    ]);
  });
});

describe('docs/shaping.md', () => {
  it('shows a config that works', () => {
    const page = readFileSync(new URL('../../docs/shaping.md', import.meta.url), 'utf8');
    const [, shown = ''] = /```yaml\n(.*?)```/s.exec(page) ?? [];
    const { prices, payments } = parse(`${shown}auth: { callout: { subject: who } }\n`).channels;
    expect(prices).toMatchObject({ throttleMs: 1000 });
    expect(payments?.map).toEqual({ event: ['type'], id: ['payment', 'id'] });
    expect(payments?.redact.map((rule) => (rule.kind === 'pattern' ? rule.pattern : rule.pointer))).toEqual([
      ['customer', 'email'],
      ['items', '*', 'cost'],
      '\\b\\d{4}([ -]?\\d{4}){3}\\b',
    ]);
  });
});
