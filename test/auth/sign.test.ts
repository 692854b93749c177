import { decodeProtectedHeader, exportPKCS8, type JWK } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import type { KeyOptions } from '../../src/auth/configured-keys.ts';
import type { JwtIssuerOptions } from '../../src/auth/issuer.ts';
import { signToken } from '../../src/auth/sign.ts';
import { temporaryFile } from '../support/folder.ts';
import { issuerOptions, NOW_S, type Signer, signer, startVerifier } from './tokens.ts';

const SECRET = 'a secret of more than sixty-four bytes, so that it serves HS512 as well as others';
const OCT: JWK = { kty: 'oct', k: Buffer.from(SECRET).toString('base64url') };

let rsa: Signer;
let other: Signer;
beforeAll(async () => {
  [rsa, other] = await Promise.all([signer('RS256', 'r'), signer('RS256', 'o')]);
});

const jwks = (...keys: JWK[]): KeyOptions => ({ jwksFile: temporaryFile(JSON.stringify({ keys })) });

/** Signs for one issuer. */
async function sign(issuer: Partial<JwtIssuerOptions>, by?: Signer): Promise<string> {
  const privateKeyFile = by && temporaryFile(await exportPKCS8(by.privateKey), 'private.pem');
  const options = { claims: { sub: '42' }, lifetimeS: 60, nowS: NOW_S, privateKeyFile };
  return signToken([issuerOptions(issuer)], options);
}

/** Signs, and has the token checked by the same config; gives its header. */
async function signAccepted(issuer: Partial<JwtIssuerOptions>, by?: Signer) {
  const token = await sign(issuer, by);
  const { verdict } = await startVerifier(issuer);
  expect(await verdict(token)).toBe('42');
  return decodeProtectedHeader(token);
}

describe('a private key that is named', () => {
  const algorithms = ['RS256', 'RS512', 'PS256'];

  it('signs with the one algorithm that its other half is narrowed to', async () => {
    const keys = [{ publicKey: other.pem }, { publicKey: rsa.pem, algorithm: 'PS256' }];
    expect(await signAccepted({ algorithms, keys }, rsa)).toEqual({ alg: 'PS256' });
    expect(await signAccepted({ algorithms, keys }, other)).toEqual({ alg: 'RS256' });
  });

  it('signs with the algorithm and the kid that its other half has in a key set', async () => {
    const keys = [jwks(other.jwk, { ...rsa.jwk, alg: 'RS512' })];
    expect(await signAccepted({ algorithms, keys }, rsa)).toEqual({ alg: 'RS512', kid: 'r' });
  });

  it('signs without a kid where its other half may be published by the issuer', async () => {
    const issuer = { algorithms, keys: [{ publicKey: other.pem }], jwksUrl: 'https://id.example.com/keys' };
    expect(decodeProtectedHeader(await sign(issuer, rsa))).toEqual({ alg: 'RS256' });
  });

  it('does not sign where its other half is unknown: what it signed would be refused', async () => {
    await expect(sign({ algorithms, keys: [{ publicKey: other.pem }] }, rsa)).rejects.toMatchObject({
      code: 'TOKEN_UNSIGNABLE',
      message: expect.stringContaining("belongs to none of the issuer's keys"),
    });
    const secret = { algorithms: ['HS256'], keys: [{ secret: SECRET }] };
    await expect(sign(secret, rsa)).rejects.toMatchObject({ code: 'TOKEN_UNSIGNABLE' });
  });
});

describe('a secret in the config', () => {
  it.each<[string, () => KeyOptions]>([
    ['inline', () => ({ secret: ` ${SECRET}\n`, kid: 's' })],
    ['in a file', () => ({ secretFile: temporaryFile(`${SECRET}\n`), kid: 's' })],
    ['as a JWK', () => ({ jwk: { ...OCT, kid: 's' } })],
    ['as a JWK that the config names', () => ({ jwk: { ...OCT }, kid: 's' })],
    ['in a key set', () => jwks({ ...OCT, kid: 's' })],
  ])('signs, %s', async (_, key) => {
    const issuer = { algorithms: ['HS256', 'HS512'], keys: [key()] };
    expect(await signAccepted(issuer)).toEqual({ alg: 'HS256', kid: 's' });
  });

  it('signs with the one algorithm that it is narrowed to, by the config or by itself', async () => {
    const algorithms = ['HS256', 'HS512'];
    for (const key of [{ secret: SECRET, algorithm: 'HS512' }, { jwk: { ...OCT, alg: 'HS512' } }])
      expect(await signAccepted({ algorithms, keys: [key] })).toEqual({ alg: 'HS512' });
  });
});

describe('a key that cannot sign is called what it is', () => {
  it('a public one', async () => {
    await expect(sign({ keys: [{ publicKey: rsa.pem }] })).rejects.toThrow(
      'the issuer has no secret in the config, and public keys cannot sign: name the private one with --key FILE',
    );
  });

  it('a secret where the algorithms take a public key', async () => {
    await expect(sign({ algorithms: ['RS256'], keys: [{ jwk: { ...OCT } }] })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: `key 1 of the issuer without a name is a secret of ${SECRET.length} bytes, but RS256 needs an RSA key of 2048 bits or more`,
    });
  });

  it('a secret that is left out of a key set, beside a public key', async () => {
    await expect(
      sign({ algorithms: ['RS256'], keys: [jwks(rsa.jwk, { ...OCT, kid: 's' })] }),
    ).rejects.toMatchObject({
      code: 'TOKEN_UNSIGNABLE',
      message: expect.stringMatching(/key "s" is a secret of \d+ bytes, but RS256 needs an RSA key/),
    });
  });

  it('a secret that is too short', async () => {
    const jwk = { kty: 'oct', k: Buffer.from('short sesame').toString('base64url') };
    const error = await sign({ algorithms: ['HS256'], keys: [{ jwk }] }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('is a secret of 12 bytes, but HS256 needs a secret of 32 bytes'),
    });
    expect(String(error)).not.toContain(jwk.k);
  });
});
