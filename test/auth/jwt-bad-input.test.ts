import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { CompactSign, exportPKCS8, FlattenedSign, importPKCS8 } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { MAX_TOKEN_BYTES } from '../../src/auth/jwt.ts';
import { startJwksServer } from './jwks-server.ts';
import { forged, NOW_S, refused, type Signer, signer, startVerifier, token } from './tokens.ts';

const CLAIMS = { sub: '42', exp: NOW_S + 60 };

let rsa: Signer;
let other: Signer;
beforeAll(async () => {
  [rsa, other] = await Promise.all([signer('RS256', 'k1'), signer('RS256', 'k1')]);
});

const start = () => startVerifier({ keys: [{ kid: 'k1', publicKey: rsa.pem }] });

/** Signed as HS256 with whatever an attacker takes for the secret. */
function hmacToken(secret: string | Uint8Array, header: Record<string, unknown> = {}): string {
  const unsigned = forged({ alg: 'HS256', ...header }, CLAIMS, '');
  const mac = createHmac('sha256', secret).update(unsigned.slice(0, -1)).digest('base64url');
  return unsigned + mac;
}

describe('a token is malformed', () => {
  it('where it is larger than the bound, before anything of it is read', async () => {
    const { verifier } = await start();
    refused(await verifier.verify('x'.repeat(100 * 1024)), 'malformed');
    // A valid one, but for its size.
    const large = await token(rsa, { claims: { note: 'x'.repeat(75 * 1024) } });
    expect(await verifier.verify(large)).toMatchObject({
      detail: expect.stringContaining(`${MAX_TOKEN_BYTES}`),
    });
  });

  it('where it is not three parts in base64url', async () => {
    const { verifier } = await start();
    const [head, body, signature] = (await token(rsa)).split('.');
    for (const text of [
      '',
      '.',
      '..',
      `${head}.${body}`,
      `${head}.${body}.${signature}.${signature}`,
      `${head}.${body}.${signature}.a.b`,
      `.${body}.${signature}`,
      `${head}..${signature}`,
      `${head}.${body}.${signature}=`,
      ` ${head}.${body}.${signature}`,
      `${head}.${body}.${signature}\n`,
      `${head}.${body}.+/+/`,
      `${head}.${body}.é`,
      `${head}.${body}.\0`,
      'Bearer x',
    ]) {
      refused(await verifier.verify(text), 'malformed');
    }
  });

  it('where its header or its claims are not a JSON object', async () => {
    const { verifier } = await start();
    for (const rubbish of ['', '{', '[]', 'null', '7', '"x"', '\xff\xfe', '['.repeat(5000)]) {
      refused(await verifier.verify(forged(rubbish, CLAIMS)), 'malformed');
      refused(await verifier.verify(forged({ alg: 'RS256' }, rubbish)), 'malformed');
    }
  });
});

describe('a token is not accepted', () => {
  it('unsigned, whatever it calls that', async () => {
    const { verifier } = await start();
    const signature = (await token(rsa)).split('.')[2] ?? '';
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '', ' none']) {
      refused(await verifier.verify(forged({ alg }, CLAIMS, '')), 'invalid');
      refused(await verifier.verify(forged({ alg, kid: 'k1' }, CLAIMS, signature)), 'invalid');
    }
  });

  it('with its signature cut off or changed', async () => {
    const { verifier } = await start();
    const [head, body, signature = ''] = (await token(rsa)).split('.');
    const flipped = (signature.startsWith('A') ? 'B' : 'A') + signature.slice(1);
    for (const bad of ['', signature.slice(0, -4), flipped, `${signature}AAAA`])
      refused(await verifier.verify(`${head}.${body}.${bad}`), 'invalid');
  });

  it('with other claims under the signature', async () => {
    const { verifier } = await start();
    const [head, , signature] = (await token(rsa)).split('.');
    const body = forged('', { ...CLAIMS, sub: 'root' }).split('.')[1];
    refused(await verifier.verify(`${head}.${body}.${signature}`), 'invalid');
  });

  it("signed by another's key of the same kid", async () => {
    const { verifier } = await start();
    refused(await verifier.verify(await token(other)), 'invalid');
  });

  it('signed with an algorithm of the same key that the config does not list', async () => {
    const { verifier } = await start();
    const pkcs8 = await exportPKCS8(rsa.privateKey);
    for (const alg of ['RS384', 'PS256']) {
      const text = await token({ ...rsa, alg, privateKey: await importPKCS8(pkcs8, alg) });
      refused(await verifier.verify(text), 'invalid');
      const both = await startVerifier({ algorithms: ['RS256', alg], keys: [{ publicKey: rsa.pem }] });
      expect(await both.verdict(text)).toBe('42');
    }
  });

  it.each([
    ['only RS256 is allowed', ['RS256']],
    ['HS256 is allowed beside it', ['RS256', 'HS256']],
  ])('signed by HMAC with the public key as the secret, where %s', async (_, algorithms) => {
    const keys = [{ kid: 'k1', publicKey: rsa.pem }];
    const { verifier } = await startVerifier({ algorithms, keys });
    const der = Buffer.from(rsa.pem.replace(/-----.*-----|\s/g, ''), 'base64');
    for (const secret of [
      rsa.pem,
      rsa.pem.trim(),
      `${rsa.pem.trim()}\n`,
      der,
      JSON.stringify(rsa.jwk),
      rsa.jwk.n ?? '',
    ]) {
      for (const header of [{}, { kid: 'k1' }])
        refused(await verifier.verify(hmacToken(secret, header)), 'invalid');
    }
  });

  it('signed by HMAC with no secret at all, or with the text of its kid', async () => {
    const { verifier } = await startVerifier({
      algorithms: ['HS256'],
      keys: [{ kid: 'k1', secret: 'x'.repeat(32) }],
    });
    for (const secret of ['', 'k1', 'undefined', 'null', '\0']) {
      refused(await verifier.verify(hmacToken(secret, { kid: 'k1' })), 'invalid');
      refused(await verifier.verify(hmacToken(secret)), 'invalid');
    }
  });

  it('with a critical header that is not understood', async () => {
    const { verifier } = await start();
    for (const crit of [['x'], ['b64', 'x'], ['__proto__'], ['toString'], ['alg']]) {
      const header = { alg: 'RS256', kid: 'k1', b64: true, x: 1, toString: 1, crit };
      const text = forged(header, CLAIMS);
      refused(await verifier.verify(text), 'invalid');
    }
    // One with a good signature: jose's signer has to be told that it knows the header.
    const known = new CompactSign(Buffer.from(JSON.stringify(CLAIMS)));
    const text = await known
      .setProtectedHeader({ alg: 'RS256', kid: 'k1', crit: ['ext'], ext: 1 })
      .sign(rsa.privateKey, { crit: { ext: true } });
    refused(await verifier.verify(text), 'invalid');
  });

  it('with a malformed list of critical headers', async () => {
    const { verifier } = await start();
    for (const crit of [[], 'exp', null, [7], {}])
      refused(await verifier.verify(forged({ alg: 'RS256', kid: 'k1', crit }, CLAIMS)), 'malformed');
  });

  it('with a payload that is not encoded (RFC 7797 7: not for tokens)', async () => {
    const { verifier } = await start();
    const payload = Buffer.from(JSON.stringify(CLAIMS)).toString('base64url');
    const flat = await new FlattenedSign(Buffer.from(payload))
      .setProtectedHeader({ alg: 'RS256', kid: 'k1', b64: false, crit: ['b64'] })
      .sign(rsa.privateKey);
    refused(await verifier.verify(`${flat.protected}.${payload}.${flat.signature}`), 'invalid');
  });

  it('with an alg or a kid that is no string, or a name that every object has', async () => {
    const { verifier } = await start();
    for (const alg of [
      undefined,
      null,
      7,
      ['RS256'],
      { RS256: 1 },
      '__proto__',
      'constructor',
      'toString',
      'rs256',
      'RS256 ',
    ])
      refused(await verifier.verify(forged({ alg, kid: 'k1' }, CLAIMS)), 'invalid');
    for (const kid of [null, 7, ['k1'], {}])
      refused(await verifier.verify(forged({ alg: 'RS256', kid }, CLAIMS)), 'malformed');
  });
});

describe('a header that points to a key', () => {
  it('is not followed: nothing is fetched for jku and x5u, nothing is believed of jwk and x5c', async () => {
    const evil = await startJwksServer();
    evil.publish(other.jwk);
    const good = await startJwksServer();
    good.publish(rsa.jwk);
    const { verifier, verdict } = await startVerifier({ jwksUrl: good.url });
    const header = { jku: evil.url, x5u: evil.url, jwk: other.jwk, x5c: [rsa.pem] };
    refused(await verifier.verify(await token(other, { header })), 'invalid');
    // They do no harm either, where the key is the issuer's.
    expect(await verdict(await token(rsa, { header }))).toBe('42');
    expect(evil.requests).toEqual([]);
    expect(good.requests).toEqual(['/keys']);
  });

  it('is only compared, where it is a kid that looks like a path, a URL or a query', async () => {
    const evil = await startJwksServer();
    const { verifier } = await start();
    for (const kid of [
      '../../../../dev/null',
      '/etc/hostname',
      evil.url,
      "x' UNION SELECT 'k",
      '__proto__',
      'k1\0',
      '',
    ]) {
      refused(await verifier.verify(await token(other, { header: { kid } })), 'invalid');
      refused(await verifier.verify(hmacToken('', { kid })), 'invalid');
    }
    expect(evil.requests).toEqual([]);
  });
});

describe('what is said of a bad token', () => {
  it('holds nothing of it, nor does the log', async () => {
    const { verifier, lines } = await startVerifier({
      issuer: 'https://id.example.com',
      audience: ['a'],
      type: 'JWT',
      keys: [{ publicKey: rsa.pem }],
    });
    const secret = 'do-not-repeat-this';
    const good = { iss: 'https://id.example.com', aud: 'a', note: secret };
    const typed = { typ: 'JWT' };
    const texts = [
      secret,
      forged(secret, secret),
      forged({ alg: secret }, good),
      forged({ alg: 'RS256', crit: [secret], [secret]: 1 }, good),
      forged({ alg: 'RS256', crit: secret }, good),
      await token(rsa, { claims: { ...good, aud: secret }, header: typed }),
      await token(rsa, { claims: { ...good, iss: secret }, header: typed }),
      await token(rsa, { claims: { ...good, exp: 1 }, header: typed }),
      await token(rsa, { claims: { ...good, nbf: NOW_S * 2 }, header: typed }),
      await token(rsa, { claims: { ...good, exp: secret }, header: typed }),
      await token(rsa, { claims: good, header: { typ: secret } }),
      await token(other, { claims: good, header: { kid: secret } }),
    ];
    for (const text of texts) {
      const verification = await verifier.verify(text);
      expect(verification).toHaveProperty('rejected');
      expect(JSON.stringify(verification)).not.toContain(secret);
    }
    expect(lines.join('')).not.toContain(secret);
  });

  it('is said, whatever the token is: verifying never throws', async () => {
    const { verifier, lines } = await startVerifier({
      algorithms: ['RS256', 'HS256', 'ES256', 'EdDSA'],
      keys: [{ publicKey: rsa.pem }, { secret: 'x'.repeat(32) }],
    });
    const alg = fc.oneof(fc.constantFrom('RS256', 'HS256', 'ES256', 'EdDSA', 'none'), fc.jsonValue());
    const header = fc.record(
      { alg, kid: fc.jsonValue(), crit: fc.jsonValue(), typ: fc.jsonValue(), b64: fc.jsonValue() },
      { requiredKeys: [] },
    );
    const part = fc.oneof(fc.jsonValue(), fc.string());
    const text = fc.oneof(
      fc.string(),
      fc.tuple(header, fc.oneof(fc.object(), part), fc.base64String()).map((parts) => forged(...parts)),
    );
    await fc.assert(
      fc.asyncProperty(text, async (hostile) => {
        expect(await verifier.verify(hostile)).toHaveProperty('rejected');
      }),
      { numRuns: 500 },
    );
    // What nobody thought of would be told there.
    expect(lines).toEqual([]);
  });
});
