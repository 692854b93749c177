import { CompactSign } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { ALGORITHMS } from '../../src/auth/algorithms.ts';
import type { JwtIssuerOptions } from '../../src/auth/issuer.ts';
import {
  accepted,
  NOW_S,
  refused,
  type Signer,
  secretToken,
  signer,
  startVerifier,
  token,
} from './tokens.ts';

const SECRET = 'a secret of sixty-four bytes, so that it serves HS512 as well ....';

let rsa: Signer;
let ec: Signer;
beforeAll(async () => {
  [rsa, ec] = await Promise.all([signer('RS256'), signer('ES256', 'ec-1')]);
});

/** A verifier of the RSA key's tokens. */
const rsaVerifier = (options: Partial<JwtIssuerOptions> = {}) =>
  startVerifier({ keys: [{ publicKey: rsa.pem }], ...options });

describe('a token is accepted', () => {
  it.each(ALGORITHMS.filter((alg) => !alg.startsWith('HS')))(
    'where %s is allowed and a configured public key made it',
    async (alg) => {
      const by = await signer(alg);
      const { verdict } = await startVerifier({ algorithms: [alg], keys: [{ publicKey: by.pem }] });
      expect(await verdict(await token(by))).toBe('42');
      expect(await verdict(await token(await signer(alg)))).toBe('invalid');
    },
  );

  it.each(['HS256', 'HS384', 'HS512'])(
    'where %s is allowed and the configured secret made it',
    async (alg) => {
      const { verdict } = await startVerifier({ algorithms: [alg], keys: [{ secret: SECRET }] });
      expect(await verdict(await secretToken(SECRET, alg))).toBe('42');
      expect(await verdict(await secretToken(`${SECRET}!`, alg))).toBe('invalid');
    },
  );

  it('and its claims become the identity, in milliseconds', async () => {
    const { verifier } = await rsaVerifier();
    const claims = { sub: 'ann', exp: NOW_S + 60, iat: NOW_S - 1, jti: 'id-7', rooms: ['a', 'b'] };
    expect(accepted(await verifier.verify(await token(rsa, { claims })))).toEqual({
      subject: 'ann',
      claims,
      expiresAtMs: (NOW_S + 60) * 1000,
      issuedAtMs: (NOW_S - 1) * 1000,
      tokenId: 'id-7',
      voucher: { isWithdrawn: false },
    });
  });
});

describe('a claim is checked', () => {
  /** What a verifier with `options` says of a token with `claims`. */
  async function verdictOf(claims: Record<string, unknown>, options: Partial<JwtIssuerOptions> = {}) {
    const { verdict } = await rsaVerifier(options);
    return verdict(await token(rsa, { claims }));
  }

  it('exp: over when it is reached, unless by less than the tolerance', async () => {
    expect(await verdictOf({ exp: NOW_S - 4 })).toBe('42');
    expect(await verdictOf({ exp: NOW_S - 5 })).toBe('expired');
    expect(await verdictOf({ exp: NOW_S + 1 }, { clockToleranceMs: 0 })).toBe('42');
    expect(await verdictOf({ exp: NOW_S }, { clockToleranceMs: 0 })).toBe('expired');
  });

  it('exp: by the injected clock', async () => {
    const { verdict, clock } = await rsaVerifier();
    const text = await token(rsa);
    clock.advance(64_000);
    expect(await verdict(text)).toBe('42');
    clock.advance(1000);
    expect(await verdict(text)).toBe('expired');
  });

  it('exp: there must be one, and it must be a date', async () => {
    const { verifier } = await rsaVerifier();
    const without = await verifier.verify(await token(rsa, { claims: { exp: undefined } }));
    expect(without).toEqual({ rejected: 'invalid', detail: 'exp is missing' });
    expect(await verdictOf({ exp: '2030-01-01' })).toBe('invalid');
    expect(await verdictOf({ exp: 1e300 })).toBe('invalid');
  });

  it('exp: a number that JSON reads as infinite makes no token that never expires', async () => {
    const { verdict } = await rsaVerifier();
    const payload = Buffer.from('{"sub":"42","exp":1e999}');
    const text = await new CompactSign(payload).setProtectedHeader({ alg: 'RS256' }).sign(rsa.privateKey);
    expect(await verdict(text)).toBe('invalid');
  });

  it('nbf and iat: not before them, unless by less than the tolerance', async () => {
    for (const claim of ['nbf', 'iat']) {
      expect(await verdictOf({ [claim]: NOW_S + 5 })).toBe('42');
      expect(await verdictOf({ [claim]: NOW_S + 6 })).toBe('not-yet-valid');
      expect(await verdictOf({ [claim]: 'soon' })).toBe('invalid');
    }
  });

  it('iat: not older than the maximum age, where there is one, and then it must be there', async () => {
    const options = { maxTokenAgeMs: 60_000 };
    expect(await verdictOf({ iat: NOW_S - 65 }, options)).toBe('42');
    expect(await verdictOf({ iat: NOW_S - 66 }, options)).toBe('expired');
    expect(await verdictOf({ iat: NOW_S + 6 }, options)).toBe('not-yet-valid');
    expect(await verdictOf({}, options)).toBe('invalid');
    expect(await verdictOf({ iat: NOW_S - 1_000_000 })).toBe('42');
  });

  it('iat: what a maximum age leaves of a token ends its stream, where exp does not sooner', async () => {
    const endOf = async (claims: Record<string, unknown>) => {
      const { verifier } = await rsaVerifier({ maxTokenAgeMs: 60_000 });
      return accepted(await verifier.verify(await token(rsa, { claims }))).expiresAtMs;
    };
    expect(await endOf({ iat: NOW_S - 10, exp: NOW_S + 3600 })).toBe((NOW_S + 50) * 1000);
    expect(await endOf({ iat: NOW_S - 10, exp: NOW_S + 20 })).toBe((NOW_S + 20) * 1000);
  });

  it('sub and jti: a text where they are there, for only a text can be revoked', async () => {
    for (const claim of ['sub', 'jti']) {
      for (const value of [42, ['42'], { id: '42' }, true])
        expect(await verdictOf({ [claim]: value })).toBe('invalid');
      expect(await verdictOf({ [claim]: null })).not.toBe('invalid');
      expect(await verdictOf({ [claim]: undefined })).not.toBe('invalid');
    }
  });

  it('iss: exactly the configured one', async () => {
    const options = { issuer: 'https://id.example.com' };
    expect(await verdictOf({ iss: 'https://id.example.com' }, options)).toBe('42');
    for (const iss of [
      'https://id.example.com/',
      'https://ID.example.com',
      undefined,
      ['https://id.example.com'],
      7,
    ]) {
      expect(await verdictOf({ iss }, options)).toBe('invalid');
    }
  });

  it('aud: one of the configured ones is among them', async () => {
    const options = { audience: ['sidestream', 'events'] };
    expect(await verdictOf({ aud: 'events' }, options)).toBe('42');
    expect(await verdictOf({ aud: ['billing', 'sidestream'] }, options)).toBe('42');
    for (const aud of ['billing', ['billing'], [], undefined, { events: true }, 'sidestream,events']) {
      expect(await verdictOf({ aud }, options)).toBe('invalid');
    }
  });

  it('others: those that are required are there', async () => {
    expect(await verdictOf({ tenant: null }, { requiredClaims: ['tenant'] })).toBe('42');
    expect(await verdictOf({}, { requiredClaims: ['tenant'] })).toBe('invalid');
    expect(await verdictOf({}, { requiredClaims: ['toString'] })).toBe('invalid');
  });

  it('typ: the configured one, in any spelling of the media type', async () => {
    const { verdict } = await rsaVerifier({ type: 'at+jwt' });
    expect(await verdict(await token(rsa, { header: { typ: 'at+jwt' } }))).toBe('42');
    expect(await verdict(await token(rsa, { header: { typ: 'application/AT+JWT' } }))).toBe('42');
    expect(await verdict(await token(rsa, { header: { typ: 'JWT' } }))).toBe('invalid');
    expect(await verdict(await token(rsa))).toBe('invalid');
  });
});

describe('several issuers', () => {
  const a = 'https://a.example.com';
  const b = 'https://b.example.com';
  const start = () =>
    startVerifier(
      { issuer: a, keys: [{ publicKey: rsa.pem }], audience: ['one'] },
      { issuer: b, algorithms: ['ES256'], keys: [{ publicKey: ec.pem }], audience: ['two'] },
    );

  it('each vouch for their own tokens', async () => {
    const { verdict } = await start();
    expect(await verdict(await token(rsa, { claims: { iss: a, aud: 'one' } }))).toBe('42');
    expect(await verdict(await token(ec, { claims: { iss: b, aud: 'two' } }))).toBe('42');
  });

  it("never for another's: neither key, nor audience, nor algorithm is lent", async () => {
    const { verifier } = await start();
    refused(await verifier.verify(await token(rsa, { claims: { iss: b, aud: 'two' } })), 'invalid');
    refused(await verifier.verify(await token(ec, { claims: { iss: a, aud: 'one' } })), 'invalid');
    refused(await verifier.verify(await token(rsa, { claims: { iss: a, aud: 'two' } })), 'invalid');
    refused(
      await verifier.verify(await token(rsa, { claims: { iss: 'https://c.example.com', aud: 'one' } })),
      'invalid',
    );
    refused(await verifier.verify(await token(rsa, { claims: { aud: 'one' } })), 'invalid');
  });

  it('may be joined by one without a name, for the tokens that no other names', async () => {
    const { verdict } = await startVerifier(
      { issuer: a, keys: [{ publicKey: rsa.pem }] },
      { algorithms: ['ES256'], keys: [{ publicKey: ec.pem }] },
    );
    expect(await verdict(await token(ec))).toBe('42');
    expect(await verdict(await token(ec, { claims: { iss: b } }))).toBe('42');
    expect(await verdict(await token(ec, { claims: { iss: a } }))).toBe('invalid');
    expect(await verdict(await token(rsa))).toBe('invalid');
  });

  it('cannot have one name', async () => {
    const issuer = { issuer: a, keys: [{ publicKey: rsa.pem }] };
    await expect(startVerifier(issuer, issuer)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await expect(rsaVerifier().then(() => startVerifier({ ...issuer, issuer: a }, issuer))).rejects.toThrow(
      a,
    );
  });
});
