import { beforeAll, describe, expect, it } from 'vitest';
import { poll } from '../support/poll.ts';
import { FAILURES } from './failing-issuers.ts';
import { startJwksServer, startKnowing, startTrusting } from './jwks-server.ts';
import {
  fetchesOf,
  forged,
  issuerOptions,
  JWKS,
  NOW_S,
  type Signer,
  secretToken,
  signer,
  startVerifier,
  token,
} from './tokens.ts';

const SECRET = 'thirty-two bytes make the least!';

let a: Signer;
let b: Signer;
beforeAll(async () => {
  [a, b] = await Promise.all([signer('RS256', 'a'), signer('RS256', 'b')]);
});

/** A token that nobody made, of a key that nobody has. */
const randomToken = () =>
  forged({ alg: 'RS256', kid: crypto.randomUUID() }, { sub: '42', exp: NOW_S + 60 }, 'A'.repeat(342));

describe('a key set', () => {
  it('is fetched once, in the background, from the start on', async () => {
    const server = await startJwksServer();
    let release = () => {};
    server.respond = (_, response) => {
      release = () => void response.end(JSON.stringify({ keys: [a.jwk] }));
    };
    // Started, though the answer is not there yet.
    const { verdict, verifier } = await startTrusting(server);
    await poll('the fetch', () => server.requests.length > 0);
    const verdicts = Promise.all(Array.from({ length: 100 }, async () => verdict(await token(a))));
    release();
    expect(new Set(await verdicts)).toEqual(new Set(['42']));
    expect(server.requests).toEqual(['/keys']);
    expect(fetchesOf(verifier)).toEqual([1, 0]);
  });

  it('is counted by its URL, without what may be a secret, for as long as somebody is configured by it', async () => {
    const [up, down, other] = [await startJwksServer(), await startJwksServer(), await startJwksServer()];
    for (const server of [up, other]) server.publish(a.jwk);
    down.respond = (_, response) => void response.writeHead(503).end();
    const first = { issuer: 'first', jwksUrl: `${up.url}?key=hunter2` };
    const second = { issuer: 'second', jwksUrl: down.url };
    const { verifier } = await startVerifier(first, second);
    await poll('both to be asked', () => fetchesOf(verifier)[0] === 2 && fetchesOf(verifier)[1] === 1);
    expect([...verifier.keySets]).toEqual([
      [up.url, { all: 1, failed: 0 }],
      [down.url, { all: 1, failed: 1 }],
    ]);
    // One that is refused leaves nothing behind.
    const wrong = verifier.prepare([{ ...first, issuer: 'third' }, second].map(issuerOptions));
    await expect(wrong).resolves.toBeDefined();
    verifier.discard(await wrong);
    const bad = { issuer: 'fourth', jwksUrl: `${down.url}/elsewhere` };
    await expect(verifier.prepare([first, second, bad].map(issuerOptions))).rejects.toThrow(
      'cannot be fetched',
    );
    expect([...verifier.keySets.keys()]).toEqual([up.url, down.url]);
    // An issuer that was changed goes on where its key set was.
    const changed = { ...first, audience: ['here'] };
    const added = { issuer: 'fifth', jwksUrl: other.url };
    verifier.adopt(await verifier.prepare([changed, added].map(issuerOptions)));
    expect([...verifier.keySets]).toEqual([
      [up.url, { all: 3, failed: 0 }],
      [other.url, { all: 1, failed: 0 }],
    ]);
  });

  it('serves several algorithms and issuers beside configured keys', async () => {
    const [es, ed] = await Promise.all([signer('ES384', 'es'), signer('EdDSA', 'ed')]);
    const server = await startJwksServer();
    server.publish(a.jwk, es.jwk, ed.jwk);
    const { verdict } = await startTrusting(server, {
      algorithms: ['RS256', 'ES384', 'EdDSA', 'HS256'],
      keys: [{ publicKey: b.pem }, { secret: SECRET }],
    });
    for (const by of [a, b, es, ed]) expect(await verdict(await token(by))).toBe('42');
    expect(await verdict(await secretToken(SECRET))).toBe('42');
  });

  it('is not asked for on behalf of a token that it cannot concern', async () => {
    const { server, verdict, clock } = await startKnowing(a, {
      algorithms: ['RS256', 'HS256'],
      keys: [{ secret: SECRET }],
    });
    clock.advance(JWKS.cooldownMs);
    expect(await verdict(await secretToken(`${SECRET}!`))).toBe('invalid');
    expect(await verdict(forged({ alg: 'ES256', kid: 'new' }, {}))).toBe('invalid');
    expect(await verdict(await token({ ...b, kid: 'a' }))).toBe('invalid');
    expect(await verdict('x'.repeat(100_000))).toBe('malformed');
    expect(server.requests).toHaveLength(1);
  });

  it('is used without the keys that are no good, which are named in the log once', async () => {
    const { server, verdict, clock, lines } = await startKnowing(a);
    const secret = { kty: 'oct', kid: 'shared', k: Buffer.from(SECRET).toString('base64url') };
    server.answer(
      JSON.stringify({
        keys: [
          7,
          null,
          { kty: 'RSA', kid: 'half' },
          { ...b.jwk, use: 'enc' },
          secret,
          { ...b.jwk, kid: 8 },
          a.jwk,
        ],
      }),
    );
    for (let i = 0; i < 3; i += 1) {
      clock.advance(JWKS.maxAgeMs);
      expect(await verdict(await token(a, { claims: { exp: NOW_S * 2 } }))).toBe('42');
      await poll(
        'the fetch',
        () => lines.filter((line) => line.includes('fetched the key set')).length === i + 2,
      );
    }
    const skipped = lines.filter((line) => line.includes('skipped keys'));
    expect(skipped).toHaveLength(1);
    expect(JSON.parse(skipped[0] ?? '').skipped).toEqual([
      expect.stringMatching(/^key 1 is not a JWK/),
      expect.stringMatching(/^key 2 is not a JWK/),
      expect.stringMatching(/^key "half" lacks "n"/),
      expect.stringMatching(/^key "b" is not for signatures/),
      expect.stringMatching(/^key "shared" is a secret/),
      expect.stringMatching(/^key 6 has a "kid" that is not a string/),
    ]);
  });

  it('never gives a shared secret: whoever can read it could sign', async () => {
    const server = await startJwksServer();
    const secret = { kty: 'oct', kid: 's', alg: 'HS256', k: Buffer.from(SECRET).toString('base64url') };
    server.publish(secret, a.jwk);
    const { verdict } = await startTrusting(server, { algorithms: ['RS256', 'HS256'] });
    expect(await verdict(await token(a))).toBe('42');
    expect(await verdict(await secretToken(SECRET, 'HS256', { header: { kid: 's' } }))).toBe('invalid');
    expect(await verdict(await secretToken(SECRET))).toBe('invalid');
  });
});

describe('keys that rotate', () => {
  it('are fetched when a token names a new one, and the old go when they are withdrawn', async () => {
    const { server, verdict, clock } = await startKnowing(a);
    server.publish(b.jwk);
    clock.advance(JWKS.cooldownMs);
    expect(await verdict(await token(b))).toBe('42');
    expect(await verdict(await token(a))).toBe('invalid');
    expect(server.requests).toHaveLength(2);
  });

  it('are found without a kid, too', async () => {
    const [old, next] = await Promise.all([signer('RS256'), signer('RS256')]);
    const { server, verdict, clock } = await startKnowing(old);
    server.publish(next.jwk);
    clock.advance(JWKS.cooldownMs);
    expect(await verdict(await token(next))).toBe('42');
    expect(await verdict(await token(old))).toBe('invalid');
    expect(server.requests).toHaveLength(2);
  });

  it('are fetched once for all who wait for them', async () => {
    const { server, verdict, clock } = await startKnowing(a);
    server.publish(a.jwk, b.jwk);
    clock.advance(JWKS.cooldownMs);
    const text = await token(b);
    expect(new Set(await Promise.all(Array.from({ length: 200 }, () => verdict(text))))).toEqual(
      new Set(['42']),
    );
    expect(server.requests).toHaveLength(2);
  });

  it('are fetched when the set is old, while nobody waits for that', async () => {
    const { server, verdict, clock } = await startKnowing(a);
    FAILURES['never answers']?.(server);
    clock.advance(JWKS.maxAgeMs - 1);
    expect(await verdict(await token(a, { claims: { exp: NOW_S * 2 } }))).toBe('42');
    expect(server.requests).toHaveLength(1);
    clock.advance(1);
    for (let i = 0; i < 10; i += 1)
      expect(await verdict(await token(a, { claims: { exp: NOW_S * 2 } }))).toBe('42');
    await poll('the fetch', () => server.requests.length === 2);
  });

  it('may all be withdrawn: then nothing is let in, and who comes is asked to come back', async () => {
    const { server, verdict, verifier, clock } = await startKnowing(a);
    server.publish();
    clock.advance(JWKS.cooldownMs);
    expect(await verdict(await token(b))).toBe('unavailable');
    expect(await verdict(await token(a))).toBe('unavailable');
    expect(fetchesOf(verifier)[1]).toBe(1);
    server.publish(a.jwk);
    clock.advance(JWKS.cooldownMs);
    expect(await verdict(await token(a))).toBe('42');
  });
});

describe('10,000 random key ids', () => {
  async function storm(verdict: (text: string) => Promise<string | undefined>) {
    return new Set(await Promise.all(Array.from({ length: 10_000 }, () => verdict(randomToken()))));
  }

  it('cost one fetch per cool-down, and each is refused', async () => {
    const { server, verdict, clock } = await startKnowing(a);
    expect(await storm(verdict)).toEqual(new Set(['invalid']));
    expect(server.requests).toHaveLength(1);
    for (const fetches of [2, 3]) {
      clock.advance(JWKS.cooldownMs);
      expect(await storm(verdict)).toEqual(new Set(['invalid']));
      expect(server.requests).toHaveLength(fetches);
    }
    expect(await verdict(await token(a))).toBe('42');
  });

  it('cost one attempt per cool-down of an issuer who is down, and each is told to come back', async () => {
    const { server, verdict, clock, verifier } = await startKnowing(a);
    FAILURES['cuts the connection']?.(server);
    expect(await storm(verdict)).toEqual(new Set(['invalid']));
    for (const failures of [1, 2]) {
      clock.advance(JWKS.cooldownMs);
      expect(await storm(verdict)).toEqual(new Set(['unavailable']));
      expect([server.requests.length, fetchesOf(verifier)[1]]).toEqual([1 + failures, failures]);
    }
    expect(await verdict(await token(a))).toBe('42');
  });
});

describe.each(Object.entries(FAILURES))('an issuer who %s', (_, fail) => {
  // Enough for a good answer on a busy machine.
  const times = { timeoutMs: 400 };

  it('does not keep Sidestream from starting, and lets nobody in until it is back', async () => {
    const server = await startJwksServer();
    fail(server);
    const { verdict, verifier, clock, lines } = await startTrusting(server, { times });
    expect(await verdict(await token(a))).toBe('unavailable');
    expect(await verdict(await token(a))).toBe('unavailable');
    expect(server.requests).toHaveLength(1);
    expect(fetchesOf(verifier)).toEqual([1, 1]);
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { level: 'warn', url: server.url, error: expect.any(String) },
    ]);
    server.publish(a.jwk);
    clock.advance(JWKS.cooldownMs);
    expect(await verdict(await token(a))).toBe('42');
  });

  it('leaves the known keys at work, however old they get', async () => {
    const { server, verdict, verifier, clock } = await startKnowing(a, { times });
    fail(server);
    const claims = { exp: NOW_S * 2 };
    for (let failures = 1; failures <= 2; failures += 1) {
      clock.advance(JWKS.maxAgeMs);
      expect(await verdict(await token(a, { claims }))).toBe('42');
      expect(await verdict(await token(b, { claims }))).toBe('unavailable');
      expect([server.requests.length, fetchesOf(verifier)[1]]).toEqual([1 + failures, failures]);
    }
  });
});
