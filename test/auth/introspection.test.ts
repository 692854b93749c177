import type { ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { TokenRequest } from '../../src/auth/identity.ts';
import { createIntrospectionVerifier, type IntrospectionOptions } from '../../src/auth/introspection.ts';
import { CachedVerifier } from '../../src/auth/verified.ts';
import { ManualClock } from '../support/clock.ts';
import { poll } from '../support/poll.ts';
import { type Answer, answerJson, startIntrospection } from './introspection-server.ts';
import { recordLog } from './recorded-log.ts';

const REQUEST: TokenRequest = {
  address: '192.0.2.1',
  origin: 'https://app.example',
  userAgent: 'test',
  channels: ['a'],
};
const TOKEN = 'token+of/anna=&%20';
const SECRET = 's3cret:+ü';
/** Long enough for any answer; only who waits for a time-out shortens it. */
const OPTIONS = {
  clientId: 'side:stream',
  clientSecret: SECRET,
  timeoutMs: 20_000,
  concurrency: 64,
  maxBytes: 10_000,
};

function verifierFor(url: string, options: Partial<IntrospectionOptions> = {}) {
  const { log, lines } = recordLog();
  const clock = new ManualClock();
  const verifier = createIntrospectionVerifier({ url, ...OPTIONS, ...options }, { log, clock });
  return { verifier, clock, log: lines, verify: (token = TOKEN) => verifier.verify(token, REQUEST) };
}

async function setUp(answer: Answer, options: Partial<IntrospectionOptions> = {}) {
  const server = await startIntrospection(answer);
  return { server, ...verifierFor(server.url, options) };
}

/** A server that keeps every question until it is told to answer them. */
async function setUpHolding(options: Partial<IntrospectionOptions>) {
  const held: ServerResponse[] = [];
  const answerHeld = () => {
    for (const res of held.splice(0)) answerJson(res, { active: true, sub: 'anna' });
  };
  return { held, answerHeld, ...(await setUp((res) => held.push(res), options)) };
}

describe('the question', () => {
  it('is a form with the token, from a client that says who it is', async () => {
    const { server, verify } = await setUp((res) => answerJson(res, { active: true }));
    await verify();
    const [asked] = server.asked;
    expect(asked).toMatchObject({ path: '/introspect', method: 'POST' });
    expect(asked?.headers['content-type']).toMatch(/^application\/x-www-form-urlencoded\b/);
    expect(asked?.headers.accept).toBe('application/json');
    const form = new URLSearchParams(asked?.body);
    expect([...form]).toEqual([
      ['token', TOKEN],
      ['token_type_hint', 'access_token'],
    ]);
  });

  it('form-encodes id and secret before Basic joins them, as RFC 6749 2.3.1 has it', async () => {
    const { server, verify } = await setUp((res) => answerJson(res, { active: true }));
    await verify();
    const [scheme, credentials = ''] = server.asked[0]?.headers.authorization?.split(' ') ?? [];
    expect(scheme).toBe('Basic');
    expect(Buffer.from(credentials, 'base64').toString()).toBe('side%3Astream:s3cret%3A%2B%C3%BC');
  });

  it('carries no credentials where none are configured', async () => {
    const { server, verify } = await setUp((res) => answerJson(res, { active: true }), {
      clientId: undefined,
    });
    await verify();
    expect(server.asked[0]?.headers).not.toHaveProperty('authorization');
  });

  it.each([
    ['no token', ''],
    ['a token of 100 KB', 'a'.repeat(100_000)],
  ])('is not asked about %s', async (_, token) => {
    const { server, verify } = await setUp((res) => answerJson(res, { active: true }));
    expect(await verify(token)).toMatchObject({ rejected: 'malformed' });
    expect(server.asked).toEqual([]);
  });

  it('goes to no URL that holds credentials', () => {
    expect(() => verifierFor('https://anna:secret@auth.example/')).toThrow(TypeError);
  });
});

describe('an answer', () => {
  it('may be as large as the bound', async () => {
    const { verify } = await setUp((res) => res.end('{"active":true,"sub":"anna"}'.padEnd(OPTIONS.maxBytes)));
    expect(await verify()).toMatchObject({ subject: 'anna' });
  });

  it('leaves the connection open for the questions that follow', async () => {
    const { verify, server } = await setUp((res) => answerJson(res, { active: true }));
    for (let i = 0; i < 20; i += 1) await verify(`token ${i}`);
    expect(server.asked).toHaveLength(20);
    // `fetch` takes a second connection when the first is not quite idle yet.
    expect(server.connections).toBeLessThan(5);
  });

  it('that calls the token active becomes an identity', async () => {
    const expiry = Date.UTC(2026, 0, 1) / 1000 + 60;
    const claims = { sub: 'anna', exp: expiry, scope: 'read', jti: 'one' };
    const { verify, verifier, log } = await setUp((res) => answerJson(res, { active: true, ...claims }));
    expect(await verify()).toEqual({
      subject: 'anna',
      claims,
      expiresAtMs: expiry * 1000,
      issuedAtMs: undefined,
      tokenId: 'one',
    });
    expect(verifier.counts.questions).toBe(1);
    expect(log).toEqual([]);
  });

  it('that calls the token inactive makes it invalid, whatever else it says', async () => {
    const { verify, verifier } = await setUp((res) => answerJson(res, { active: false, sub: 'anna' }));
    expect(await verify()).toMatchObject({ rejected: 'invalid' });
    expect(Object.values(verifier.counts.faults)).toEqual(Array(6).fill(0));
  });

  it('with an expiry that is over makes it expired', async () => {
    const { verify } = await setUp((res) => answerJson(res, { active: true, exp: 1_000_000_000 }));
    expect(await verify()).toMatchObject({ rejected: 'expired', wasGood: true });
  });

  it('that names another audience or issuer than the configured ones, or none, makes it invalid', async () => {
    const claims = { aud: ['billing', 'events'], iss: 'https://id.example.com' };
    const verdictOf = async (said: object) => {
      const options = { audience: ['events', 'sidestream'], issuer: claims.iss };
      const { verify } = await setUp((res) => answerJson(res, { active: true, ...claims, ...said }), options);
      const found = await verify();
      return 'rejected' in found ? found.rejected : 'good';
    };
    expect(await verdictOf({})).toBe('good');
    expect(await verdictOf({ aud: 'sidestream' })).toBe('good');
    for (const aud of ['billing', ['billing'], [], undefined, null, { events: true }, 'sidestream,events'])
      expect(await verdictOf({ aud }), String(aud)).toBe('invalid');
    for (const iss of ['https://id.example.com/', undefined, null, [claims.iss]])
      expect(await verdictOf({ iss }), String(iss)).toBe('invalid');
  });

  it('may name any audience and issuer where none is configured', async () => {
    const said = { active: true, aud: 'billing', iss: 'x', sub: 'anna' };
    const { verify } = await setUp((res) => answerJson(res, said));
    expect(await verify()).toMatchObject({ subject: 'anna' });
  });
});

/** Every answer quotes the token: none of it may be repeated. */
const USELESS: readonly [string, string, Answer][] = [
  ['a 401: our own credentials are wrong', 'status', (res) => answerJson(res, { error: TOKEN }, 401)],
  ['a 500', 'status', (res) => res.writeHead(500).end(TOKEN)],
  ['a 204', 'status', (res) => res.writeHead(204).end()],
  ['a 201 that says active', 'status', (res) => answerJson(res, { active: true }, 201)],
  ['no JSON', 'malformed', (res) => res.end(`<html>${TOKEN}</html>`)],
  ['nothing', 'malformed', (res) => res.end()],
  ['half of it, in full', 'malformed', (res) => res.end(`{"active":true,"sub":"${TOKEN}`)],
  ['an array', 'malformed', (res) => answerJson(res, [{ active: true }])],
  ['no `active`', 'malformed', (res) => answerJson(res, { sub: 'anna', token: TOKEN })],
  ['`active` in quotes', 'malformed', (res) => answerJson(res, { active: 'true' })],
  ['`active: 1`', 'malformed', (res) => answerJson(res, { active: 1 })],
  ['an expiry in quotes', 'malformed', (res) => answerJson(res, { active: true, exp: '1999999999' })],
  ['a user who is an object', 'malformed', (res) => answerJson(res, { active: true, sub: { id: TOKEN } })],
  ['one byte too much', 'too-large', (res) => res.end(JSON.stringify({ active: true }).padEnd(10_001))],
  ['half of it, and then an end', 'unreachable', (res) => void res.write('{"active":', () => res.destroy())],
  ['an end without a word', 'unreachable', (res) => void res.destroy()],
];

describe('a token is not let in, and its service is called unavailable, when the answer is', () => {
  it.each(USELESS)('%s', async (_, fault, answer) => {
    const { verify, verifier, log } = await setUp(answer);
    const verification = await verify();
    expect(verification).toMatchObject({ rejected: 'unavailable' });
    expect(verifier.counts.faults).toMatchObject({ [fault]: 1 });
    expect(log.map((line) => JSON.parse(line))).toMatchObject([
      { level: 'warn', service: 'introspection', fault },
    ]);
    const said = JSON.stringify([verification, log]);
    for (const secret of ['token', 'anna', SECRET, 'Basic']) expect(said).not.toContain(secret);
  });

  it('a redirect, which is not followed', async () => {
    const { verify, verifier, server } = await setUp((res, { path }) => {
      if (path === '/introspect') res.writeHead(307, { Location: '/elsewhere' }).end();
      else answerJson(res, { active: true });
    });
    expect(await verify()).toMatchObject({ rejected: 'unavailable' });
    expect(verifier.counts.faults.status).toBe(1);
    expect(server.asked.map(({ path }) => path)).toEqual(['/introspect']);
  });

  it('without end, which is broken off', async () => {
    const { verify, verifier, server } = await setUp((res) => {
      const flood = () => {
        while (!res.destroyed && res.write(Buffer.alloc(50_000, 0x20)));
      };
      res.on('drain', flood);
      flood();
    });
    expect(await verify()).toMatchObject({ rejected: 'unavailable' });
    expect(verifier.counts.faults['too-large']).toBe(1);
    await poll('the answer to be broken off', () => server.open === 0);
  });

  it.each<[string, Answer]>([
    ['that does not begin', () => {}],
    ['that begins and does not go on', (res) => void res.write('{"active":true')],
    ['that comes byte by byte', (res) => trickle(res)],
  ])('one %s in time; the question is broken off', async (_, answer) => {
    const { verify, verifier, server, log } = await setUp(answer, { timeoutMs: 50 });
    expect(await verify()).toMatchObject({ rejected: 'unavailable' });
    expect(verifier.counts.faults.timeout).toBe(1);
    expect(log.join()).toContain('no answer within 50 ms');
    await poll('the answer to be broken off', () => server.open === 0);
  });

  it('none, because nobody listens', async () => {
    const { verify, verifier, server, log } = await setUp((res) => answerJson(res, { active: true }));
    await server.stop();
    expect(await verify()).toMatchObject({ rejected: 'unavailable' });
    expect(verifier.counts.faults.unreachable).toBe(1);
    expect(log.join()).toContain('ECONNREFUSED');
  });

  it('not HTTP', async () => {
    const rude = createServer((socket) => socket.end(`SSH-2.0-${TOKEN}\r\n`));
    await new Promise<void>((resolve) => rude.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void rude.close());
    const address = rude.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const { verify, verifier, log } = verifierFor(`http://127.0.0.1:${port}/`);
    expect(await verify()).toMatchObject({ rejected: 'unavailable' });
    expect(verifier.counts.faults.unreachable).toBe(1);
    expect(log.join()).not.toContain('token');
  });
});

/** Sends a byte each time the last one is gone, for ever. */
function trickle(res: ServerResponse): void {
  if (!res.destroyed) res.write(' ', () => setImmediate(trickle, res));
}

describe('a service in trouble', () => {
  it('is asked again, and believed when it is well', async () => {
    let well = false;
    const { verify } = await setUp((res) =>
      well ? answerJson(res, { active: true, sub: 'anna' }) : res.destroy(),
    );
    expect(await verify()).toMatchObject({ rejected: 'unavailable' });
    well = true;
    expect(await verify()).toMatchObject({ subject: 'anna' });
  });

  it('is complained of once a while, with the number of times between', async () => {
    const { verify, verifier, clock, log } = await setUp((res) => res.writeHead(503).end());
    for (let i = 0; i < 5; i += 1) await verify();
    expect(log).toHaveLength(1);
    clock.advance(10_000);
    await verify();
    expect(log.map((line) => JSON.parse(line).heldBack)).toEqual([0, 4]);
    expect(verifier.counts.faults.status).toBe(6);
  });

  it('lets nobody in by an answer that was good once', async () => {
    const { verify, verifier, server, clock } = await setUp((res) => answerJson(res, { active: true }));
    const cached = new CachedVerifier(verifier, { maxTokens: 10, maxTtlMs: 1_000, badTtlMs: 1_000 }, clock);
    await cached.verify(TOKEN, REQUEST);
    await server.stop();
    expect(await cached.verify(TOKEN, REQUEST)).toHaveProperty('claims');
    clock.advance(1_000);
    expect(await verify()).toMatchObject({ rejected: 'unavailable' });
    expect(await cached.verify(TOKEN, REQUEST)).toMatchObject({ rejected: 'unavailable' });
    expect(cached.peek(TOKEN)).toBeUndefined();
  });
});

describe('a storm', () => {
  it('of one token is one question', async () => {
    const { held, answerHeld, verify, verifier, server } = await setUpHolding({});
    const answers = Array.from({ length: 100 }, () => verify());
    await poll('the question', () => held.length > 0);
    answerHeld();
    expect(await Promise.all(answers)).toEqual(Array(100).fill(expect.objectContaining({ subject: 'anna' })));
    expect([server.asked.length, verifier.counts.questions]).toEqual([1, 1]);
  });

  it('of many tokens is few questions at a time, some that wait, and a refusal at once for the rest', async () => {
    const { held, answerHeld, verify, verifier, server, log } = await setUpHolding({ concurrency: 2 });
    const answers = Array.from({ length: 30 }, (_, i) => verify(`token ${i}`));
    const turnedAway = await Promise.all(answers.slice(10));
    expect(turnedAway).toEqual(Array(20).fill(expect.objectContaining({ rejected: 'unavailable' })));
    expect(verifier.counts.faults.busy).toBe(20);
    expect(log).toHaveLength(1);
    for (let asked = 2; asked <= 10; asked += 2) {
      await poll('two questions', () => held.length === 2);
      expect(server.asked).toHaveLength(asked);
      answerHeld();
    }
    const answered = await Promise.all(answers.slice(0, 10));
    expect(answered).toEqual(Array(10).fill(expect.objectContaining({ subject: 'anna' })));
    expect(server.mostOpen).toBe(2);
  });

  it('upon a service that hangs ends for all who wait, and every place is free again', async () => {
    const { held, answerHeld, verify } = await setUpHolding({ concurrency: 2, timeoutMs: 50 });
    const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => verify(`token ${i}`)));
    expect(answers).toEqual(Array(10).fill(expect.objectContaining({ rejected: 'unavailable' })));
    held.length = 0;
    const patient = verify('one more');
    await poll('the question', () => held.length > 0);
    answerHeld();
    expect(await patient).toBeDefined();
  });
});
