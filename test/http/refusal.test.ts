import { describe, expect, it } from 'vitest';
import { type RefusalContext, refusal } from '../../src/http/refusal.ts';
import { REFUSAL_CODES, type RefusalCode } from '../../src/reasons.ts';
import { parseEventStream } from '../support/event-stream.ts';

/** What may be better later, and with which status it is told. DESIGN 2.3. */
const PASSING: Partial<Record<RefusalCode, number>> = {
  CONNECTION_LIMIT: 503,
  CONNECTION_LIMIT_IP: 429,
  CONNECTION_LIMIT_CHANNEL: 503,
  CHANNEL_LIMIT: 503,
  CONNECT_RATE: 503,
  DRAINING: 503,
  NATS_NOT_READY: 503,
  CONNECTION_LIMIT_USER: 429,
  AUTH_UNAVAILABLE: 503,
  AUTH_RATE: 429,
  REQUEST_RATE: 503,
  REQUEST_LIMIT: 503,
};
const FINAL: Partial<Record<RefusalCode, number>> = {
  TOKEN_MISSING: 401,
  TOKEN_INVALID: 401,
  TOKEN_EXPIRED: 401,
  TOKEN_REVOKED: 401,
  TOKEN_USED: 401,
  CHANNEL_FORBIDDEN: 403,
  CHANNEL_MALFORMED: 400,
  CHANNEL_UNKNOWN: 404,
  CHANNELS_MISSING: 400,
  CHANNELS_TOO_MANY: 400,
  LOGS_TOO_MANY: 400,
  CURSOR_MALFORMED: 400,
  WAIT_MALFORMED: 400,
  LIMIT_MALFORMED: 400,
  REQUEST_FAILED: 500,
  BODY_TOO_LARGE: 413,
  BODY_TYPE: 415,
  BODY_MALFORMED: 400,
  NOT_ACCEPTABLE: 406,
  METHOD_NOT_ALLOWED: 405,
  BODY_NOT_ALLOWED: 400,
  NOT_FOUND: 404,
};
const context: RefusalContext = { asStatus: false, retryMs: 4200, control: true };
const codes = (of: Partial<Record<RefusalCode, number>>) => Object.entries(of) as [RefusalCode, number][];

function answer(code: RefusalCode, over: Partial<RefusalContext> = {}) {
  const { status, headers, body, close } = refusal(code, { ...context, ...over });
  return { status: Number(status.slice(0, 3)), headers: Object.fromEntries(headers), body, close };
}

/** What an end for good is told by: no answer at all, at which a native EventSource stops. */
const SILENT: Partial<Record<RefusalCode, number>> = { CHANNEL_CLOSED: 204, STREAM_CLOSED: 204 };

it('every refusal is passing, final or silent', () => {
  expect(Object.keys({ ...PASSING, ...FINAL, ...SILENT }).sort()).toEqual(Object.keys(REFUSAL_CODES).sort());
});

describe('a refusal that may be better later', () => {
  it.each(codes(PASSING))(
    '%s is, to a native EventSource, a stream that ends and tells when to come back',
    (code) => {
      const { status, headers, body, close } = answer(code);
      expect([status, close]).toEqual([200, true]);
      expect(headers).toMatchObject({
        'Content-Type': 'text/event-stream',
        'Cache-Control': expect.stringContaining('no-store'),
      });
      const [event, ...others] = parseEventStream(Buffer.from(body));
      expect(others).toEqual([]);
      expect(event).toMatchObject({ event: 'sidestream.close', retry: 4200 });
      expect(JSON.parse(event?.data ?? '')).toEqual({ reason: 'overloaded', code, retry: 4200 });
    },
  );

  it.each(codes(PASSING))('%s is a status (%i) with Retry-After to who can read one', (code, expected) => {
    const { status, headers, body, close } = answer(code, { asStatus: true });
    expect([status, close]).toEqual([expected, true]);
    expect(headers).toMatchObject({
      'Retry-After': '5',
      'Content-Type': 'application/json',
      'Cache-Control': 'no-store',
    });
    expect(JSON.parse(body)).toEqual({ error: { code, message: expect.stringMatching(/\w.*\.$/) } });
  });

  it('is the retry line alone where control events are off', () => {
    expect(answer('CONNECTION_LIMIT', { control: false }).body).toBe('retry: 4200\n\n');
  });
});

describe('a refusal that is final', () => {
  it.each(codes(FINAL))('%s is a status (%i) to everybody', (code, expected) => {
    for (const asStatus of [true, false]) {
      const { status, headers, body } = answer(code, { asStatus });
      expect(status).toBe(expected);
      expect(headers).not.toHaveProperty('Retry-After');
      expect(JSON.parse(body)).toEqual({ error: { code, message: expect.any(String) } });
    }
  });

  it('names the channel that is to blame', () => {
    expect(JSON.parse(answer('CHANNEL_UNKNOWN', { channel: 'prices.X' }).body).error.message).toContain(
      'prices.X',
    );
  });

  it('says which methods there are', () => {
    expect(answer('METHOD_NOT_ALLOWED').headers).toMatchObject({ Allow: 'GET, OPTIONS' });
  });
});

describe('a refusal for good', () => {
  it.each(codes(SILENT))('%s has neither a body nor a type, whoever asks', (code, expected) => {
    for (const asStatus of [true, false]) {
      const { status, headers, body, close } = answer(code, { asStatus });
      expect([status, headers, body, close]).toEqual([expected, { 'Cache-Control': 'no-store' }, '', false]);
    }
  });
});
