import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RouteConfig } from '../../src/config/schema.ts';
import { RouteMetrics } from '../../src/metrics.ts';
import { encodeEvent } from '../../src/protocol/sse.ts';
import { Router } from '../../src/routing/router.ts';
import { type Message, toPublication } from '../../src/sources/publication.ts';
import { parseEventStream } from '../support/event-stream.ts';
import { routeConfig } from '../support/route.ts';

const TIME_MS = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

/** Maps one message to the channel `prices.ACME` of a route with this policy. */
function map(policy: Partial<RouteConfig>, data: Uint8Array | string, headers?: Record<string, string>) {
  const config = routeConfig({ channel: 'prices.{symbol}', subject: 'market.*.{symbol}', ...policy });
  const destination = new Router({ prices: config }).resolve('prices.ACME');
  if (destination === undefined) throw new TypeError('the route serves the channel');
  const metrics = new RouteMetrics();
  const message: Message = {
    subject: 'market.eu.ACME',
    data: Buffer.from(data),
    ...(headers !== undefined && { headers: { get: (name) => headers[name] ?? '' } }),
  };
  const publication = toPublication(destination, message, metrics, { timeMs: TIME_MS });
  return { ...(publication ?? expect.fail('it may be seen')), metrics };
}

describe('the event name of a message', () => {
  it.each([
    ['its own header', { event: 'price' }, { 'Sse-Event': 'trade' }, 'trade'],
    ['the route', { event: 'price' }, {}, 'price'],
    ['the route, where the header is empty', { event: 'price' }, { 'Sse-Event': '' }, 'price'],
    ['the route, by parameter and subject', { event: '{symbol}@{subject}' }, {}, 'ACME@market.eu.ACME'],
    ['the route, by channel', { event: '{channel}' }, {}, 'prices.ACME'],
    ['the route, by another header', { event: '{header.X-Kind}' }, { 'X-Kind': 'ask' }, 'ask'],
    ['nobody', {}, {}, undefined],
    ['nobody, where the header that the route names is missing', { event: '{header.X-Kind}' }, {}, undefined],
  ])('comes from %s', (_, policy, headers, event) => {
    const publication = map(policy, 'x', headers);
    expect(publication.event).toBe(event);
    expect(publication.metrics.fieldsDropped.event).toBe(0);
  });

  it('comes from the route where the message has no headers at all', () => {
    expect(map({ event: '{header.X-Kind}{symbol}' }, 'x').event).toBe('ACME');
  });

  it.each(['a\nb', 'a\rb', 'a\0b', '\n', 'sidestream.close', 'sidestream.', 'x'.repeat(257)])(
    'is dropped and counted where it cannot be used: %j',
    (name) => {
      const byHeader = map({ event: 'price' }, 'x', { 'Sse-Event': name });
      expect([byHeader.event, byHeader.metrics.fieldsDropped.event]).toEqual(['price', 1]);
      const byTemplate = map({ event: '{header.X-Kind}' }, 'x', { 'X-Kind': name });
      expect([byTemplate.event, byTemplate.metrics.fieldsDropped.event]).toEqual([undefined, 1]);
    },
  );

  it('cannot be made one of ours by parts that are harmless alone', () => {
    expect(map({ event: 'side{header.X-Kind}' }, 'x', { 'X-Kind': 'stream.close' }).event).toBeUndefined();
  });

  it('never makes another event or field of the message, whatever its headers hold', () => {
    const text = fc
      .array(fc.constantFrom('a', '\r', '\n', '\0', ':', 'data: x', 'sidestream.', ' '), { maxLength: 5 })
      .map((pieces) => pieces.join(''));
    fc.assert(
      fc.property(text, text, (own, kind) => {
        const { event, data } = map({ event: '{header.X-Kind}' }, 'payload', {
          'Sse-Event': own,
          'X-Kind': kind,
        });
        const received = parseEventStream(encodeEvent(event === undefined ? { data } : { event, data }));
        expect(received).toEqual([{ event: event ?? 'message', data: 'payload', id: '' }]);
        expect(received[0]?.event.startsWith('sidestream.')).toBe(false);
      }),
    );
  });
});

describe('how long a message is worth replaying', () => {
  it.each([
    ['15s', 15_000],
    ['250ms', 250],
    ['10m', 600_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    ['90', 90_000],
    ['0', 0],
  ])('comes from its header: %s', (text, ttlMs) => {
    const publication = map({}, 'x', { 'Sse-Ttl': text });
    expect([publication.ttlMs, publication.metrics.fieldsDropped.ttl]).toEqual([ttlMs, 0]);
  });

  it.each(['soon', '-1', '1.5s', '15 s', '1w', '9999999999', 's'])('is dropped and counted: %j', (text) => {
    const publication = map({}, 'x', { 'Sse-Ttl': text });
    expect([publication.ttlMs, publication.metrics.fieldsDropped.ttl]).toEqual([undefined, 1]);
    expect(publication.data).toEqual(Buffer.from('x'));
  });

  it('is nothing where it does not say', () => {
    expect([map({}, 'x').ttlMs, map({}, 'x', { 'Sse-Event': 'a' }).ttlMs]).toEqual([undefined, undefined]);
  });
});

describe('the priority of a message', () => {
  it.each([
    [0, 'normal', undefined],
    [0, 'high', 1],
    [1, 'urgent', 2],
    [2, 'normal', undefined],
    [1, '', 1],
    [2, undefined, 2],
    [0, undefined, undefined],
  ] as const)('on a route of %s whose message says %j is %s', (priority, header, expected) => {
    const publication = map({ priority }, 'x', header === undefined ? undefined : { 'Sse-Priority': header });
    expect([publication.priority, publication.metrics.fieldsDropped.priority]).toEqual([expected, 0]);
  });

  it.each(['High', 'low', '2', ' urgent'])('is dropped and counted where it is none: %j', (header) => {
    const publication = map({ priority: 1 }, 'x', { 'Sse-Priority': header });
    expect([publication.priority, publication.metrics.fieldsDropped.priority]).toEqual([1, 1]);
  });
});

describe('what is mapped from a payload', () => {
  const policy = { map: { event: ['type'], id: ['meta', 'id'] }, event: 'price', envelope: true } as const;
  const open = (data: string, headers?: Record<string, string>) => {
    const publication = map(policy, data, headers);
    const { event, id } = JSON.parse(String(publication.data));
    const { fieldsDropped } = publication.metrics;
    expect({ event, id }).toEqual({ event: publication.event, id: publication.id });
    return { event, id, dropped: [fieldsDropped.event, fieldsDropped.id] };
  };

  it.each([
    ['{"type":"trade","meta":{"id":"x-1"}}', 'trade', 'x-1', [0, 0]],
    ['{"type":5,"meta":{"id":12345678901234567890}}', '5', '12345678901234567890', [0, 0]],
    ['{"ty\\u0070e":"\\u0074rade","meta":{"id":true}}', 'trade', 'true', [0, 0]],
    ['{"type":"a","type":"b"}', 'b', undefined, [0, 0]],
    ['{}', 'price', undefined, [0, 0]],
    ['{"type":null,"meta":{"id":""}}', 'price', undefined, [0, 0]],
    ['{"type":{},"meta":{"id":[]}}', 'price', undefined, [1, 1]],
    ['{"type":"a\\nb","meta":{"id":"a\\nb"}}', 'price', 'a\nb', [1, 0]],
    ['{"type":"sidestream.close"}', 'price', undefined, [1, 0]],
    [`{"meta":{"id":"${'x'.repeat(257)}"}}`, 'price', undefined, [0, 1]],
    ['no JSON', 'price', undefined, [1, 1]],
    ['', 'price', undefined, [1, 1]],
  ])('of %s is event %s and id %s', (data, event, id, dropped) => {
    expect(open(data)).toEqual({ event, id, dropped });
  });

  it('gives way to what the headers say', () => {
    const headers = { 'Sse-Event': 'own', 'Nats-Msg-Id': 'own-1' };
    expect(open('{"type":"trade","meta":{"id":"x"}}', headers)).toMatchObject({ event: 'own', id: 'own-1' });
  });

  it('leaves the payload as it came', () => {
    const data = '{ "type" : "trade", "n" : 12345678901234567890.10 }';
    expect(map({ map: policy.map }, data)).toMatchObject({ event: 'trade', data: Buffer.from(data) });
  });
});

describe('what replaces what', () => {
  it('is not said where nobody asks', () => {
    expect(map({ latestBy: { pointer: ['a'] } }, '{"a":1}')).not.toHaveProperty('key');
  });

  it('is the subject, or the value that a pointer leads to', () => {
    const keyOf = (latestBy: RouteConfig['latestBy'], data: string) =>
      map({ latestBy, throttleMs: 1000 }, data).key;
    expect(keyOf('subject', '{"a":1}')).toBe('market.eu.ACME');
    const by = { pointer: ['a'] };
    const keys = ['{"a":1}', '{"a":"1"}', '{"a":9007199254740992}', '{"a":9007199254740993}', '{"a":false}'];
    expect(new Set(keys.map((data) => keyOf(by, data))).size).toBe(keys.length);
    expect(keyOf(by, '{"a":"\\u0041"}')).toBe(keyOf(by, '{"b":0,"a":"A"}'));
    for (const data of ['{}', '{"a":null}', '{"a":{}}', 'text'])
      expect(keyOf(by, data)).toBe('market.eu.ACME');
  });

  it('is counted where the payload cannot say it', () => {
    const dropped = (data: string) =>
      map({ latestBy: { pointer: ['a'] }, slow: 'latest' }, data).metrics.fieldsDropped.key;
    expect(['{"a":1}', '{}', '{"a":[]}', 'text'].map(dropped)).toEqual([0, 0, 1, 1]);
  });
});

describe('a payload of which a part is not to be seen', () => {
  const redact = [{ kind: 'pointer', pointer: ['user', 'email'], replacement: '***' }] as const;

  it('goes out with what stands in its place, in the envelope too', () => {
    const data = '{"user":{"email":"a@b"},"n":12345678901234567890}';
    const hidden = '{"user":{"email":"***"},"n":12345678901234567890}';
    expect(String(map({ redact }, data).data)).toBe(hidden);
    expect(String(map({ redact, envelope: true }, data).data)).toContain(`"data":${hidden}}`);
  });

  it('is dropped and counted where nobody can tell which part that is', () => {
    const destination = new Router({ a: routeConfig({ channel: 'a', subject: 'a', redact }) }).resolve('a');
    if (destination === undefined) throw new TypeError('the route serves the channel');
    const metrics = new RouteMetrics();
    const mapped = ['{"user":{"email":"a@b"}', 'email: a@b', '{"a":1}', ''].map((text) =>
      toPublication(destination, { subject: 'a', data: Buffer.from(text) }, metrics, { timeMs: TIME_MS }),
    );
    expect(mapped.map((publication) => publication !== undefined)).toEqual([false, false, true, true]);
    expect(metrics.dropped.unredactable).toBe(2);
  });

  it('may be text, where patterns say what to hide', () => {
    const redact = [{ kind: 'pattern', pattern: '\\d{4}', flags: '', replacement: '#' }] as const;
    expect(String(map({ redact }, 'pin 1234').data)).toBe('pin #');
    expect(JSON.parse(String(map({ redact, envelope: true }, 'pin 1234').data)).data).toBe('pin #');
  });
});

describe('a message of a bucket', () => {
  const config = routeConfig({
    channel: 'settings.{app}',
    subject: '$KV.settings.{app}.>',
    source: { kind: 'kv', bucket: 'settings' },
  });

  function mapKey(policy: Partial<RouteConfig>, text: string, headers?: Record<string, string>) {
    const destination = new Router({ settings: { ...config, ...policy } }).resolve('settings.shop');
    if (destination === undefined) throw new TypeError('the route serves the channel');
    const message: Message = {
      subject: '$KV.settings.shop.a.b',
      data: Buffer.from(text),
      ...(headers !== undefined && { headers: { get: (name) => headers[name] ?? '' } }),
    };
    const stamp = { timeMs: TIME_MS, offset: 12 };
    return toPublication(destination, message, new RouteMetrics(), stamp) ?? expect.fail('it may be seen');
  }

  it('is a put of its key, at the time that it was stored', () => {
    expect(mapKey({}, '1')).toEqual({
      event: 'put',
      data: Buffer.from('1'),
      timeMs: TIME_MS,
      key: 'shop.a.b',
    });
  });

  it.each([
    { 'KV-Operation': 'DEL' },
    { 'KV-Operation': 'PURGE' },
    { 'Nats-Marker-Reason': 'MaxAge' },
    { 'Nats-Marker-Reason': 'Purge' },
    { 'Nats-Marker-Reason': 'Remove' },
  ])('is a deletion without data where its headers say so: %j', (headers) => {
    expect(mapKey({}, 'left over', headers)).toMatchObject({ event: 'delete', data: '' });
    expect(mapKey({ event: 'setting', binary: true }, '', headers)).toMatchObject({
      event: 'delete',
      data: '',
    });
  });

  it('is named by its header or its route where it is a put', () => {
    expect(mapKey({ event: '{app}-setting' }, '1').event).toBe('shop-setting');
    expect(mapKey({ event: 'setting' }, '1', { 'Sse-Event': 'own' }).event).toBe('own');
  });

  it('replaces by its key, and a deletion needs no redaction', () => {
    const redact = [{ kind: 'pointer', pointer: ['a'], replacement: '***' }] as const;
    expect(mapKey({ throttleMs: 1000 }, '1').key).toBe('shop.a.b');
    expect(mapKey({ redact }, 'left over', { 'KV-Operation': 'DEL' })).toMatchObject({ data: '' });
  });

  it('tells key, operation and revision in its envelope', () => {
    const head = {
      channel: 'settings.shop',
      key: 'shop.a.b',
      revision: 12,
      time: '2026-01-02T03:04:05.678Z',
    };
    const open = (text: string, headers?: Record<string, string>) =>
      JSON.parse(String(mapKey({ envelope: true }, text, headers).data));
    expect(open('{"a":1}')).toEqual({ ...head, event: 'put', data: { a: 1 } });
    expect(open('', { 'KV-Operation': 'DEL' })).toEqual({ ...head, event: 'delete', data: null });
  });
});

describe('the data of a message', () => {
  it('is its payload as it came', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(Buffer.from(map({}, bytes).data).equals(bytes)).toBe(true);
      }),
    );
  });

  it('is counted where it is not UTF-8', () => {
    expect(
      [map({}, Uint8Array.of(0xff)), map({}, 'ü'), map({}, '')].map(({ metrics }) => metrics.invalidUtf8),
    ).toEqual([1, 0, 0]);
    expect(map({ binary: true }, Uint8Array.of(0xff)).metrics.invalidUtf8).toBe(0);
  });

  it('is base64 of its payload on a binary route', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const { data } = map({ binary: true }, bytes);
        expect(data).toMatch(/^[A-Za-z0-9+/]*=*$/);
        expect(Buffer.from(String(data), 'base64').equals(bytes)).toBe(true);
      }),
    );
  });

  it('may be a view into a larger buffer', () => {
    const larger = Buffer.from('before payload after');
    const part = larger.subarray(7, 14);
    expect(JSON.parse(String(map({ envelope: true }, part).data)).data).toBe('payload');
    expect(Buffer.from(String(map({ binary: true }, part).data), 'base64').toString()).toBe('payload');
  });
});

describe('the envelope', () => {
  const open = (data: Uint8Array | string, policy: Partial<RouteConfig> = {}, headers = {}) =>
    JSON.parse(String(map({ envelope: true, ...policy }, data, headers).data));

  it('tells channel, subject, event and time', () => {
    const rest = { channel: 'prices.ACME', subject: 'market.eu.ACME', time: '2026-01-02T03:04:05.678Z' };
    expect(open('1')).toEqual({ ...rest, event: 'message', data: 1 });
    expect(open('1', { event: 'price' })).toEqual({ ...rest, event: 'price', data: 1 });
    expect(open('1', {}, { 'Sse-Event': 'trade' })).toEqual({ ...rest, event: 'trade', data: 1 });
  });

  it('holds JSON as JSON', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom('', ' ', '\n', '\t\r\n'), (text, space) => {
        expect(open(`${space}${text}${space}`).data).toEqual(JSON.parse(text));
      }),
    );
  });

  it('holds anything else as a string', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
        fc.pre(!isJson(text));
        expect(open(bytes).data).toBe(text);
      }),
    );
  });

  it('keeps every digit of a number', () => {
    expect(map({ envelope: true }, '12345678901234567890.10').data).toContain(
      '"data":12345678901234567890.10}',
    );
  });

  it.each(['', '{', '1,"channel":"other"', '1}', '{"a":1}{"b":2}', '// 1', 'NaN', '\uFEFF1'])(
    'cannot be broken out of: %j',
    (payload) => {
      expect(open(payload)).toMatchObject({ channel: 'prices.ACME', data: payload });
    },
  );

  it('holds a binary payload as base64, JSON or not', () => {
    expect(open('{"a":1}', { binary: true }).data).toBe(Buffer.from('{"a":1}').toString('base64'));
  });

  it('of JSON over many lines is the same JSON in the browser', () => {
    const { data } = map({ envelope: true }, '{\r\n  "a": 1,\r  "b": 2\n}');
    expect(JSON.parse(parseEventStream(encodeEvent({ data }))[0]?.data ?? '').data).toEqual({ a: 1, b: 2 });
  });
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    // SyntaxError: it is not.
    return false;
  }
}
