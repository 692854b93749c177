import { describe, expect, test } from 'vitest';
import { startBridge, type TestBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import type { StreamClient } from '../support/stream-client.ts';

const LISTED = 'https://app.example.com';
const OTHER_LISTED = 'http://localhost:3000';

async function withOrigins(origins: readonly string[], credentials = false): Promise<TestBridge> {
  return startBridge({ nats: await startNats(), config: { http: { cors: { origins, credentials } } } });
}

function corsHeaders({ head }: StreamClient): Record<string, string> {
  return Object.fromEntries(
    head.headers.filter(([name]) => name.startsWith('access-control-') || name === 'vary'),
  );
}

/** A stream, refusals of both kinds, and what is not served at all. */
const ANSWERS = ['/events/topic.a', '/events/topic.*', '/events/unknown', '/events', '/nowhere'] as const;

describe.each(ANSWERS)('the answer to %s', (target) => {
  test.each([LISTED, OTHER_LISTED])('may be read by a page of the listed origin %s', async (origin) => {
    const bridge = await withOrigins([LISTED, OTHER_LISTED], true);
    const client = await bridge.request(target, { headers: { Origin: origin } });
    expect(corsHeaders(client)).toEqual({
      vary: 'Origin',
      'access-control-allow-origin': origin,
      'access-control-expose-headers': 'Retry-After',
      'access-control-allow-credentials': 'true',
    });
  });

  test('cannot be read by a page of any other origin, and caches are told that it depends on that', async () => {
    const bridge = await withOrigins([LISTED], true);
    const others = [
      'https://evil.example',
      'null',
      `${LISTED}.evil.example`,
      LISTED.toUpperCase(),
      `${LISTED}:443`,
      'https://',
    ];
    for (const origin of others) {
      const client = await bridge.request(target, { headers: { Origin: origin } });
      expect([origin, corsHeaders(client)]).toEqual([origin, { vary: 'Origin' }]);
    }
  });
});

test('credentials are allowed only where the config says so', async () => {
  const bridge = await withOrigins([LISTED]);
  const client = await bridge.request('/events/topic.a', { headers: { Origin: LISTED } });
  expect(corsHeaders(client)).not.toHaveProperty('access-control-allow-credentials');
  expect(corsHeaders(client)).toHaveProperty('access-control-allow-origin', LISTED);
});

test('where any origin may read, no origin is reflected and nothing varies', async () => {
  const bridge = await withOrigins(['*']);
  const client = await bridge.request('/events/topic.a', { headers: { Origin: 'https://anybody.example' } });
  expect(corsHeaders(client)).toEqual({
    'access-control-allow-origin': '*',
    'access-control-expose-headers': 'Retry-After',
  });
});

test('where no origins are configured there is no CORS header', async () => {
  const bridge = await withOrigins([]);
  const client = await bridge.request('/events/topic.a', { headers: { Origin: LISTED } });
  expect(corsHeaders(client)).toEqual({});
});

const PREFLIGHT = {
  'Access-Control-Request-Method': 'GET',
  'Access-Control-Request-Headers': 'last-event-id',
};

describe.each(['/events/topic.a', '/events?channels=topic.a', '/events'])(
  'the preflight for %s',
  (target) => {
    test('allows a listed origin to send what a stream needs', async () => {
      const bridge = await withOrigins([LISTED], true);
      const client = await bridge.request(target, {
        method: 'OPTIONS',
        headers: { Origin: LISTED, ...PREFLIGHT },
      });
      await client.ended();
      expect(client.status).toBe(204);
      expect(corsHeaders(client)).toEqual({
        vary: 'Origin',
        'access-control-allow-origin': LISTED,
        'access-control-allow-credentials': 'true',
        'access-control-expose-headers': 'Retry-After',
        'access-control-allow-methods': 'GET',
        'access-control-allow-headers': 'Authorization, Cache-Control, Last-Event-ID',
        'access-control-max-age': '7200',
      });
    });

    test.each(['https://evil.example', 'null'])('allows nothing to %s', async (origin) => {
      const bridge = await withOrigins([LISTED], true);
      const client = await bridge.request(target, {
        method: 'OPTIONS',
        headers: { Origin: origin, ...PREFLIGHT },
      });
      await client.ended();
      expect(client.status).toBe(204);
      expect(corsHeaders(client)).toEqual({ vary: 'Origin' });
    });
  },
);

test('a preflight needs no NATS, no known channel and no Origin', async () => {
  const bridge = await startBridge();
  const client = await bridge.request('/events/whatever', { method: 'OPTIONS' });
  await client.ended();
  expect(client.status).toBe(204);
});
