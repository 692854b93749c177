import { describe, expect, it } from 'vitest';
import { ControlError, type Part, type Served, type Spread } from '../../src/control/operation.ts';
import { type ReadingDeps, type ReadStream, readingOperations } from '../../src/control/reading/reading.ts';
import { Router } from '../../src/routing/router.ts';
import { routeConfig } from '../support/route.ts';

const OPENED_MS = Date.UTC(2026, 0, 1);
const router = new Router({
  chat: routeConfig({ channel: 'chat-{room}', subject: 'chat.{room}' }),
});

const STREAM: ReadStream = {
  connection: 'c-1',
  ordinal: 7,
  user: '42',
  transport: 'sse',
  channels: ['chat-a'],
  openedMs: OPENED_MS,
  waitingBytes: 0,
};

/** What the operations of one instance answer, `others` being the parts of the others; the instance is called `own`. */
function setUp(given: Partial<ReadingDeps> = {}) {
  const served = readingOperations({
    instance: 'own',
    streams: { list: async () => ({ list: [], more: false }), describe: async () => undefined },
    channels: { list: async () => ({ list: [], more: false }), describe: () => undefined },
    resolve: (channel) => router.resolve(channel),
    maxAnswerBytes: () => 100_000,
    ...given,
  });
  return async (
    name: string,
    fields: object,
    { others = [], missing = [] }: { others?: readonly Part<unknown>[]; missing?: readonly string[] } = {},
  ) => {
    const operation = served.find(({ spec }) => spec.name === name);
    if (operation === undefined || !isSpread(operation)) throw new TypeError(`no such operation: ${name}`);
    const input = operation.spec.input.parse(fields);
    const part = await operation.each(input, { via: 'nats' });
    // Parts cross NATS, where they are checked.
    const crossed = operation.part.parse(JSON.parse(JSON.stringify(part)));
    const answer = operation.merge([{ instance: 'own', part: crossed }, ...others], input, missing);
    return operation.spec.output.parse(answer);
  };
}

function isSpread(served: Served): served is Spread<unknown, unknown, unknown> {
  return 'each' in served;
}

async function refusalOf(answer: Promise<unknown>): Promise<string> {
  try {
    return `no refusal: ${JSON.stringify(await answer)}`;
  } catch (error) {
    return error instanceof ControlError ? `${error.code}: ${error.message}` : String(error);
  }
}

describe('a channel', () => {
  const held = {
    subscribers: 2,
    openedMs: OPENED_MS,
    isLingering: false,
    isUnavailable: false,
    position: 'e.4',
    history: { events: 1, bytes: 300, oldestMs: OPENED_MS, newestMs: OPENED_MS },
  };
  const channels = { list: async () => ({ list: [], more: false }), describe: () => held };

  it('was created when it was made, else when the first of all instances opened it', async () => {
    const earlier = {
      subscribers: 1,
      opened: '2025-12-31T00:00:00.000Z',
      lingering: false,
      unavailable: false,
      position: 'f.1',
      history: { events: 0, bytes: 0 },
    };
    const others = [{ instance: 'b', part: { held: earlier } }];
    const found = await setUp({ channels })('channel', { channel: 'chat-a' }, { others });
    expect(found).toMatchObject({ subscribers: 3, created: earlier.opened });
    expect(found).toHaveProperty('held.0.instance', 'b');
    const made = { created: '2025-01-01T00:00:00.000Z', timeoutMs: 60_000, metadata: { topic: 'tea' } };
    const call = setUp({ channels, describe: () => made });
    expect(await call('channel', { channel: 'chat-a' }, { others })).toMatchObject(made);
  });

  it('is not found without a route, nor where it must be made first and was not', async () => {
    expect(await refusalOf(setUp()('channel', { channel: 'other' }))).toBe(
      'CHANNEL_NOT_FOUND: no route serves this channel',
    );
    const dynamic = { exists: () => false };
    expect(await refusalOf(setUp(dynamic)('channel', { channel: 'chat-a' }))).toBe(
      'CHANNEL_NOT_FOUND: a channel of this route must be made first',
    );
    const found = { ...dynamic, describe: () => ({ created: '2025-01-01T00:00:00.000Z' }) };
    expect(await setUp(found)('channel', { channel: 'chat-a' })).toMatchObject({ held: [] });
  });
});

describe('a connection', () => {
  const having = (stream: ReadStream) => ({
    streams: {
      list: async () => ({ list: [stream], more: false }),
      describe: async (id: string) => (id === stream.connection ? stream : undefined),
    },
  });

  it('is told with when its token expires, however far ahead a token says that is', async () => {
    const call = setUp(having({ ...STREAM, expiresMs: 1e18 }));
    expect(await call('connection', { connection: 'c-1' })).toMatchObject({
      connection: 'c-1',
      instance: 'own',
      expires: '9999-12-31T23:59:59.000Z',
    });
    expect(await call('connections', {})).toMatchObject({ list: [{ expires: '9999-12-31T23:59:59.000Z' }] });
  });

  it('that nobody has is not found, and how many did not answer is said', async () => {
    const call = setUp(having(STREAM));
    const all = await refusalOf(call('connection', { connection: 'c-2' }));
    expect(all).toBe('CONNECTION_NOT_FOUND: no instance that answered has it');
    const some = await refusalOf(call('connection', { connection: 'c-2' }, { missing: ['b', 'c'] }));
    expect(some).toBe('CONNECTION_NOT_FOUND: no instance that answered has it; 2 did not answer');
  });

  it('is looked for only behind where the page before ended', async () => {
    const asked: number[] = [];
    const streams = {
      ...having(STREAM).streams,
      list: async ({ after }: { readonly after: number }) => {
        asked.push(after);
        return { list: [STREAM], more: false };
      },
    };
    const call = setUp({ streams });
    await call('connections', { after: 'own.5' });
    await call('connections', { after: 'an-earlier-one.5' });
    expect(asked).toEqual([5, 0]);
    expect(await call('connections', { after: 'the-next-one.5' })).toEqual({ list: [] });
    expect(asked).toHaveLength(2);
  });
});
