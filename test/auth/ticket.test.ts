import { describe, expect, it } from 'vitest';
import type { Identity } from '../../src/auth/identity.ts';
import type { JwtIssuerOptions } from '../../src/auth/issuer.ts';
import { ticketMemoryMs } from '../../src/auth/ticket.ts';
import { accepted, issuerOptions, NOW_S, secretToken, startVerifier } from './tokens.ts';

const SECRET = 'a secret of more than thirty-two bytes';
const TICKET = { maxAgeMs: 60_000, sessionMs: 3_600_000 };
const CLAIMS = { iss: 'tickets', jti: 'one', iat: NOW_S, exp: NOW_S + 60 };

const KEY = { algorithms: ['HS256'], keys: [{ secret: SECRET }] };

/** A verifier of tickets, by default of one issuer's. */
const start = (options: Partial<JwtIssuerOptions> = { issuer: 'tickets' }) =>
  startVerifier({ ...KEY, ticket: TICKET, ...options });

const sign = (claims: Readonly<Record<string, unknown>> = {}) =>
  secretToken(SECRET, 'HS256', { claims: { ...CLAIMS, ...claims } });

/** Who a ticket with these claims is of; fails the test where it is refused. */
async function identityOf(
  claims: Readonly<Record<string, unknown>> = {},
  options?: Partial<JwtIssuerOptions>,
): Promise<Identity> {
  const { verifier } = await start(options);
  return accepted(await verifier.verify(await sign(claims)));
}

const keyOf = async (...of: Parameters<typeof identityOf>) => (await identityOf(...of)).ticket?.key;

describe('a ticket', () => {
  it('is good for a session, and its use is worth remembering until it would be refused for its age', async () => {
    expect(await identityOf({ sub: 'ann' })).toMatchObject({
      subject: 'ann',
      tokenId: 'one',
      issuedAtMs: NOW_S * 1000,
      expiresAtMs: (NOW_S + 3600) * 1000,
      ticket: { key: expect.stringMatching(/^[0-9a-f]{64}$/), untilMs: (NOW_S + 65) * 1000 },
    });
  });

  it.each([
    ['jti', { jti: undefined }, 'jti is missing'],
    ['jti', { jti: '' }, 'jti is not a text'],
    ['jti', { jti: 7 }, 'jti is not a text'],
    ['iat', { iat: undefined }, 'iat is missing'],
    ['exp', { exp: undefined }, 'exp is missing'],
    ['exp', { exp: NOW_S + 61 }, 'exp is later after iat than a ticket may be good'],
    ['exp', { iat: NOW_S - 3600 }, 'exp is later after iat than a ticket may be good'],
    ['session_exp', { session_exp: 'soon' }, 'session_exp is not a date'],
    ['session_exp', { session_exp: null }, undefined],
  ])('needs a good %s: %j', async (_, claims, detail) => {
    const { verifier } = await start();
    const verification = await verifier.verify(await sign(claims));
    if (detail === undefined) accepted(verification);
    else expect(verification).toEqual({ rejected: 'invalid', detail });
  });

  it('that is not yet good, over or signed by others is refused like any token', async () => {
    const { verdict, clock } = await start();
    expect(await verdict(await sign({ iat: NOW_S + 6, exp: NOW_S + 66 }))).toBe('not-yet-valid');
    expect(await verdict(await secretToken(`${SECRET}!`, 'HS256', { claims: CLAIMS }))).toBe('invalid');
    const text = await sign();
    clock.advance(64_999);
    expect(await verdict(text)).toBe('42');
    clock.advance(1);
    expect(await verdict(text)).toBe('expired');
  });

  it('that is over was good once, as any token of its issuer; one by others is not said to be', async () => {
    const old = { iat: NOW_S - 120, exp: NOW_S - 60 };
    const { verifier } = await start();
    expect(await verifier.verify(await sign(old))).toMatchObject({ rejected: 'expired', wasGood: true });
    const forged = await secretToken(`${SECRET}!`, 'HS256', { claims: { ...CLAIMS, ...old } });
    expect(await verifier.verify(forged)).not.toHaveProperty('wasGood');
    const plain = await startVerifier(KEY);
    expect(await plain.verifier.verify(await sign(old))).toMatchObject({
      rejected: 'expired',
      wasGood: true,
    });
  });

  it('ends its session sooner by session_exp, and never later', async () => {
    expect((await identityOf({ session_exp: NOW_S + 90 })).expiresAtMs).toBe((NOW_S + 90) * 1000);
    expect((await identityOf({ session_exp: NOW_S + 3601 })).expiresAtMs).toBe((NOW_S + 3600) * 1000);
  });

  it('has a key of its issuer and its jti alone', async () => {
    const anyIssuer = {};
    const key = await keyOf();
    expect(await keyOf({ sub: 'ann', iat: NOW_S - 1, exp: NOW_S + 9 })).toBe(key);
    const others = [
      await keyOf({ jti: 'two' }),
      await keyOf({ iss: 'others' }, anyIssuer),
      await keyOf({ iss: undefined }, anyIssuer),
      await keyOf({ iss: 'tickets","one', jti: 'x' }, anyIssuer),
    ];
    expect(new Set([key, ...others]).size).toBe(5);
  });
});

describe('a token of an issuer that gives no tickets', () => {
  it('is none, whatever it claims', async () => {
    const { verifier } = await startVerifier(KEY);
    const identity = accepted(await verifier.verify(await sign({ ticket: true })));
    expect(identity).not.toHaveProperty('ticket');
    expect(identity.expiresAtMs).toBe((NOW_S + 60) * 1000);
  });
});

describe('the use of a ticket is remembered', () => {
  it('for as long as any instance may take it, whose clock is off by the tolerance, and a minute', () => {
    const issuer = (maxAgeMs: number, clockToleranceMs: number) =>
      issuerOptions({ clockToleranceMs, ticket: { maxAgeMs, sessionMs: maxAgeMs } });
    expect(ticketMemoryMs([issuer(60_000, 5000)])).toBe(140_000);
    expect(ticketMemoryMs([issuer(60_000, 0), issuer(30_000, 10_000), issuerOptions({})])).toBe(130_000);
  });

  it('by nobody where no issuer gives them', () => {
    expect(ticketMemoryMs([issuerOptions({})])).toBeUndefined();
  });
});
