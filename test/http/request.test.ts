import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Ask,
  copyRequest,
  isStreamPath,
  readPollRequest,
  readStreamRequest,
  wantsStatus,
} from '../../src/http/request.ts';
import type { HttpRequest } from '../../src/http/uws.ts';
import { isChannelName } from '../../src/routing/template.ts';

const MAX_CHANNELS = 3;

function ask(over: Partial<Ask> = {}): Ask {
  const none = {
    method: 'get',
    path: '/events',
    query: '',
    origin: '',
    accept: '',
    lastEventId: '',
    forwarded: '',
    acceptEncoding: '',
    authorization: '',
    cookie: '',
    userAgent: '',
    contentType: '',
    contentLength: '',
  };
  return { ...none, hasBody: false, trace: undefined, ...over };
}
const read = (over: Partial<Ask>) => readStreamRequest(ask(over), '/events', MAX_CHANNELS);

describe('a request for a stream', () => {
  it.each([
    ['a channel in the path', { path: '/events/a' }, ['a']],
    ['channels in the query', { query: 'channels=a,b,c' }, ['a', 'b', 'c']],
    ['both', { path: '/events/a', query: 'channels=b' }, ['a', 'b']],
    ['the parameter twice', { query: 'channels=a&x=1&channels=b' }, ['a', 'b']],
    ['the same channel twice', { path: '/events/a', query: 'channels=b,a,b' }, ['a', 'b']],
    ['the same channel more often than channels are allowed', { query: 'channels=a,a,a,a,a' }, ['a']],
    ['percent-encoding', { path: '/events/prices%2EA', query: 'channels=user%3A7' }, ['prices.A', 'user:7']],
    ['none', {}, []],
    ['an empty list', { query: 'channels=' }, []],
    ['the longest name', { path: `/events/${'x'.repeat(256)}` }, ['x'.repeat(256)]],
  ])('names its channels: %s', (_, over, channels) => {
    expect(read(over)).toEqual({ channels, cursor: undefined });
  });

  it.each([
    ['an empty name in the list', { query: 'channels=a,,b' }, 'CHANNEL_MALFORMED'],
    ['an empty name at the end', { query: 'channels=a,' }, 'CHANNEL_MALFORMED'],
    ['a name that is too long', { path: `/events/${'x'.repeat(257)}` }, 'CHANNEL_MALFORMED'],
    ['a wildcard', { path: '/events/prices.*' }, 'CHANNEL_MALFORMED'],
    ['an encoded wildcard', { path: '/events/prices.%3E' }, 'CHANNEL_MALFORMED'],
    ['a system subject', { path: '/events/$SYS' }, 'CHANNEL_MALFORMED'],
    ['an encoded slash', { path: '/events/a%2Fb' }, 'CHANNEL_MALFORMED'],
    ['an encoded line end', { path: '/events/a%0d%0ab' }, 'CHANNEL_MALFORMED'],
    ['an encoded NUL', { path: '/events/a%00' }, 'CHANNEL_MALFORMED'],
    ['double encoding', { path: '/events/a%252Eb' }, 'CHANNEL_MALFORMED'],
    ['broken percent-encoding', { path: '/events/%zz' }, 'CHANNEL_MALFORMED'],
    ['percent-encoding that is not UTF-8', { path: '/events/%ff' }, 'CHANNEL_MALFORMED'],
    ['white space', { query: 'channels=a+b' }, 'CHANNEL_MALFORMED'],
    ['too many channels', { query: 'channels=a,b,c,d' }, 'CHANNELS_TOO_MANY'],
    [
      'too many with the one in the path',
      { path: '/events/d', query: 'channels=a,b,c' },
      'CHANNELS_TOO_MANY',
    ],
    ['a cursor that is none', { path: '/events/a', lastEventId: 'x' }, 'CURSOR_MALFORMED'],
    [
      'a cursor that is too long',
      { path: '/events/a', lastEventId: `${'a.1_'.repeat(50)}a.1` },
      'CURSOR_MALFORMED',
    ],
  ])('is refused: %s', (_, over, code) => {
    expect(read(over)).toBe(code);
  });

  it.each([
    ['the header', { lastEventId: 'e.1' }, [{ epoch: 'e', offset: 1 }]],
    ['the query', { query: 'lastEventId=e.2' }, [{ epoch: 'e', offset: 2 }]],
    [
      'the header before the query',
      { lastEventId: 'e.1', query: 'lastEventId=e.2' },
      [{ epoch: 'e', offset: 1 }],
    ],
    ['neither', { query: 'lastEventId=' }, undefined],
  ])('brings its cursor by %s', (_, over, cursor) => {
    expect(read({ path: '/events/a', ...over })).toEqual({ channels: ['a'], cursor });
  });

  it('never throws, and lets nothing through but a few different channel names', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc
        .array(
          fc.constantFrom(
            'channels=',
            'a',
            ',',
            '&',
            '%',
            '2e',
            '*',
            '>',
            '..',
            '/',
            '+',
            'lastEventId=',
            'e.1',
            '\0',
          ),
          { maxLength: 12 },
        )
        .map((pieces) => pieces.join('')),
    );
    fc.assert(
      fc.property(text, text, text, (tail, query, lastEventId) => {
        const request = read({ path: `/events/${tail}`, query, lastEventId });
        if (typeof request === 'string') return;
        const { channels } = request;
        expect(channels.every(isChannelName)).toBe(true);
        expect(new Set(channels).size).toBe(channels.length);
        expect(channels.length).toBeLessThanOrEqual(MAX_CHANNELS);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('the path of a stream', () => {
  it.each(['/events', '/events/a', '/events/%2e', '/events/..'])('is %s', (path) => {
    expect(isStreamPath(path, '/events')).toBe(true);
  });
  it.each([
    '/',
    '',
    '/event',
    '/eventsx',
    '/events/',
    '/events/a/',
    '/events/a/b',
    '//events',
    '/Events',
    '/x/events',
  ])('is not %s', (path) => {
    expect(isStreamPath(path, '/events')).toBe(false);
  });
});

describe('a long poll', () => {
  const readPoll = (query: string, maxLimit = 1000) => readPollRequest(ask({ query }), maxLimit);

  it.each([
    ['', 25_000],
    ['wait=0', 0],
    ['wait=0s', 0],
    ['wait=250ms', 250],
    ['wait=25s', 25_000],
    ['wait=60s', 60_000],
    ['wait=1m', 60_000],
    ['wait=60000ms', 60_000],
  ])('waits as long as it says: %j', (query, waitMs) => {
    expect(readPoll(query)).toEqual({ waitMs, limit: 100 });
  });

  it.each([
    '',
    '25',
    's',
    '-1s',
    '1.5s',
    '61s',
    '60001ms',
    '2m',
    '1h',
    '1d',
    ' 1s',
    '1s ',
    '99999999999ms',
    '1sx',
  ])('is refused where that is no duration, or too long: %j', (wait) => {
    expect(readPoll(new URLSearchParams({ wait }).toString())).toBe('WAIT_MALFORMED');
  });

  it.each([
    ['', 1000, 100],
    ['', 20, 20],
    ['limit=1', 1000, 1],
    ['limit=1000', 1000, 1000],
  ])('is given at most as many events as it says: %j where %i may be', (query, maxLimit, limit) => {
    expect(readPoll(query, maxLimit)).toEqual({ waitMs: 25_000, limit });
  });

  it.each(['', '0', '-1', '1.5', '01', '1001', '1e2', 'x', ' 1', '9999999999999'])(
    'is refused where that is no number, or too many: %j',
    (limit) => {
      expect(readPoll(new URLSearchParams({ limit }).toString())).toBe('LIMIT_MALFORMED');
    },
  );
});

describe('a refusal is told by its status', () => {
  it.each([
    ['to who sends Authorization', { authorization: 'Bearer x' }],
    ['to who asks for it', { query: 'channels=a&errors=http' }],
    ['to who polls', { accept: 'application/json' }],
    [
      'to who would rather have a JSON object a line',
      { accept: 'text/event-stream;q=0.9, application/x-ndjson' },
    ],
    ['to who accepts nothing that is here', { accept: 'text/html' }],
  ])('%s', (_, over) => {
    expect(wantsStatus(ask(over))).toBe(true);
  });
  it.each([
    ['a native EventSource', { accept: 'text/event-stream' }],
    ['a client that accepts anything', { accept: '*/*' }],
    ['another value of the parameter', { query: 'errors=1' }],
  ])('not to %s', (_, over) => {
    expect(wantsStatus(ask(over))).toBe(false);
  });
});

const NOTHING = { forwardedHeader: undefined, cookie: false, userAgent: false, encoding: false };
const BEHIND_PROXIES = { ...NOTHING, forwardedHeader: 'x-forwarded-for' };

describe('a copy of a request', () => {
  it('has the cookies and the user agent where tokens are checked', () => {
    const headers: [string, string][] = [
      ['cookie', 'session=secret'],
      ['user-agent', 'Firefox'],
      ['accept-encoding', 'gzip'],
      ['accept-encoding', 'br'],
    ];
    expect(
      copyRequest(request(...headers), { ...NOTHING, cookie: true, encoding: true, userAgent: true }),
    ).toMatchObject({
      cookie: 'session=secret',
      userAgent: 'Firefox',
      acceptEncoding: 'gzip,br',
    });
  });

  function request(...headers: readonly [name: string, value: string][]): HttpRequest {
    const req: Pick<HttpRequest, 'getHeader' | 'getMethod' | 'getUrl' | 'getQuery' | 'forEach'> = {
      // As the addon does: of several lines the first.
      getHeader: (wanted: string) => headers.find(([name]) => name === wanted)?.[1] ?? '',
      getMethod: () => 'get',
      getUrl: () => '/events/a',
      getQuery: ((key?: string) => (key === undefined ? 'x=1' : undefined)) as HttpRequest['getQuery'],
      forEach: (take) => {
        for (const [name, value] of headers) take(name, value);
      },
    };
    return req as HttpRequest;
  }

  it('keeps what is needed, of cookies and the user agent only where they are', () => {
    const copy = copyRequest(
      request(
        ['origin', 'https://a.example'],
        ['accept', '*/*'],
        ['last-event-id', 'e.1'],
        ['authorization', 'Bearer secret'],
        ['cookie', 'session=secret'],
        ['user-agent', 'Firefox'],
        ['x-forwarded-for', '192.0.2.1'],
      ),
      BEHIND_PROXIES,
    );
    expect(copy).toEqual({
      method: 'get',
      path: '/events/a',
      query: 'x=1',
      origin: 'https://a.example',
      accept: '*/*',
      acceptEncoding: '',
      lastEventId: 'e.1',
      authorization: 'Bearer secret',
      cookie: '',
      userAgent: '',
      hasBody: false,
      contentType: '',
      contentLength: '',
      forwarded: '192.0.2.1',
      trace: undefined,
    });
  });

  it('keeps what is said of a body only where one may be answered', () => {
    const headers: [string, string][] = [
      ['content-type', 'application/json'],
      ['content-length', '5'],
    ];
    const said = { contentType: 'application/json', contentLength: '5' };
    expect(copyRequest({ ...request(...headers), getMethod: () => 'post' }, NOTHING)).toMatchObject(said);
    expect(copyRequest(request(...headers), NOTHING)).toMatchObject({ contentType: '', contentLength: '' });
  });

  it('does not read the forwarding header where no proxy is trusted', () => {
    expect(copyRequest(request(['x-forwarded-for', '192.0.2.1']), NOTHING).forwarded).toBe('');
  });

  it('joins the lines of a forwarding header in their order, so that the last word stays the last', () => {
    const req = request(
      ['x-forwarded-for', '127.0.0.1'],
      ['accept', '*/*'],
      ['x-forwarded-for', '203.0.113.7'],
    );
    expect(copyRequest(req, BEHIND_PROXIES).forwarded).toBe('127.0.0.1,203.0.113.7');
  });

  it('joins the lines of Accept, but for what every EventSource sends', () => {
    const accept = (...values: string[]) =>
      copyRequest(request(...values.map((value): [string, string] => ['accept', value])), NOTHING).accept;
    expect(accept()).toBe('');
    expect(accept('text/html', 'application/json')).toBe('text/html,application/json');
    expect(accept('text/event-stream')).toBe('text/event-stream');
  });

  it.each<[string, [string, string][], boolean]>([
    ['no header', [], false],
    ['a length of 0', [['content-length', '0']], false],
    ['a length', [['content-length', '5']], true],
    ['chunks', [['transfer-encoding', 'chunked']], true],
  ])('tells whether there is a body: %s', (_, headers, hasBody) => {
    expect(copyRequest(request(...headers), NOTHING).hasBody).toBe(hasBody);
  });
});
