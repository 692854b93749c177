import { writeFileSync } from 'node:fs';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { RELOAD_INTERVAL_MS } from '../../src/auth/jwt.ts';
import { CachedVerifier } from '../../src/auth/verified.ts';
import { temporaryFile } from '../support/folder.ts';
import { poll } from '../support/poll.ts';
import { OPTIONS, REQUEST } from './cached.ts';
import { type JwksServer, startJwksServer, startTrusting } from './jwks-server.ts';
import {
  issuerOptions,
  JWKS,
  NOW_S,
  type Signer,
  signer,
  startVerifier,
  type TestVerifier,
  token,
} from './tokens.ts';

let one: Signer;
let two: Signer;
beforeAll(async () => {
  [one, two] = await Promise.all([signer('RS256', 'one'), signer('RS256', 'two')]);
});

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
afterEach(() => void vi.useRealTimers());

const claims = { exp: NOW_S + 86_400 };

/** A cache that knows a token by the key `one`, which the verifier trusts. */
async function setUp({ verifier, clock }: TestVerifier) {
  const cached = new CachedVerifier(verifier, { ...OPTIONS, maxTtlMs: 86_400_000 }, clock);
  const text = await token(one, { claims });
  expect(await cached.verify(text, REQUEST)).toMatchObject({ subject: '42' });
  const isKnown = () => cached.peek(text) !== undefined;
  expect(isKnown()).toBe(true);
  return { isKnown, again: () => cached.verify(text, REQUEST) };
}

/** The same, with a key set under a URL. */
async function setUpRemote() {
  const server = await startJwksServer();
  server.publish(one.jwk);
  const started = await startTrusting(server);
  return { server, ...started, ...(await setUp(started)) };
}

/** Has the set fetched as it is when it has become old, by nothing but the time that passes. */
async function renewed(server: JwksServer, { clock, lines }: TestVerifier): Promise<void> {
  const seen = lines.length;
  clock.advance(JWKS.maxAgeMs);
  vi.advanceTimersByTime(RELOAD_INTERVAL_MS);
  await poll('the set', () => server.requests.length === 2 && lines.length > seen);
}

describe('what a key vouched for', () => {
  it('is known no more once the issuer has withdrawn the key, though only known tokens come', async () => {
    const { server, isKnown, again, ...started } = await setUpRemote();
    server.publish(two.jwk);
    await renewed(server, started);
    expect(isKnown()).toBe(false);
    expect(await again()).toMatchObject({ rejected: 'invalid' });
  });

  it('stays known where the issuer has another key besides', async () => {
    const { server, isKnown, ...started } = await setUpRemote();
    server.publish(two.jwk, one.jwk);
    await renewed(server, started);
    expect(isKnown()).toBe(true);
    expect(await started.verdict(await token(two, { claims }))).toBe('42');
  });

  it('stays known while the issuer cannot be asked', async () => {
    const { server, isKnown, ...started } = await setUpRemote();
    server.answer('', 500);
    await renewed(server, started);
    expect(isKnown()).toBe(true);
  });

  it('is known no more once the issuer gives the id of the key to another', async () => {
    const { server, isKnown, again, ...started } = await setUpRemote();
    server.publish({ ...two.jwk, kid: 'one' });
    await renewed(server, started);
    expect(isKnown()).toBe(false);
    expect(await again()).toMatchObject({ rejected: 'invalid' });
  });

  it('is known no more once the issuer gives the key another id', async () => {
    const { server, isKnown, again, ...started } = await setUpRemote();
    server.publish({ ...one.jwk, kid: 'three' });
    await renewed(server, started);
    expect(isKnown()).toBe(false);
    expect(await again()).toMatchObject({ rejected: 'invalid' });
  });

  it('is known as long as the key stands in its file', async () => {
    const set = (...keys: readonly Signer[]) => JSON.stringify({ keys: keys.map(({ jwk }) => jwk) });
    const file = temporaryFile(set(one));
    const started = await startVerifier({ keys: [{ jwksFile: file }] });
    const { isKnown, again } = await setUp(started);
    const reads = (by: Signer, verdict: string) => async () => {
      vi.advanceTimersByTime(RELOAD_INTERVAL_MS);
      return (await started.verdict(await token(by, { claims }))) === verdict;
    };
    writeFileSync(file, set(one, two));
    await poll('the new key', reads(two, '42'));
    expect(isKnown()).toBe(true);
    writeFileSync(file, set(two));
    await poll('the old key to be gone', reads(one, 'invalid'));
    expect(isKnown()).toBe(false);
    expect(await again()).toMatchObject({ rejected: 'invalid' });
  });

  it('is asked for once more where its issuer was changed while the signature was checked, for better or worse', async () => {
    const by = ({ pem }: Signer) => issuerOptions({ algorithms: ['RS256'], keys: [{ publicKey: pem }] });
    const { verifier } = await startVerifier(by(one));
    const texts = await Promise.all([one, two].map((key) => token(key, { claims })));
    const prepared = await verifier.prepare([by(two)]);
    const verdicts = texts.map((text) => verifier.verify(text));
    verifier.adopt(prepared);
    expect(await Promise.all(verdicts)).toMatchObject([
      { rejected: 'unavailable' },
      { rejected: 'unavailable' },
    ]);
    const again = await Promise.all(texts.map((text) => verifier.verify(text)));
    expect(again).toMatchObject([{ rejected: 'invalid' }, { subject: '42' }]);
  });
});
