import { expect, it } from 'vitest';
import { CHECKS_AT_A_TIME } from '../../src/auth/jwt.ts';
import { accepted, NOW_S, signer, startVerifier, token } from './tokens.ts';

it('a storm of new tokens leaves every turn of the event loop to others as well', async () => {
  const ec = await signer('ES256');
  const { verifier } = await startVerifier({ algorithms: ['ES256'], keys: [{ publicKey: ec.pem }] });
  const tokens = await Promise.all(
    Array.from({ length: 300 }, (_, n) => token(ec, { claims: { sub: `user-${n}`, exp: NOW_S + 60 } })),
  );

  let inThisTurn = 0;
  let largest = 0;
  let under = true;
  const nextTurn = () => {
    largest = Math.max(largest, inThisTurn);
    inThisTurn = 0;
    if (under) setImmediate(nextTurn);
  };
  setImmediate(nextTurn);
  const users = await Promise.all(
    tokens.map(async (each) => {
      const { subject } = accepted(await verifier.verify(each));
      inThisTurn += 1;
      return subject;
    }),
  );
  under = false;

  expect(users).toEqual(tokens.map((_, n) => `user-${n}`));
  expect(Math.max(largest, inThisTurn)).toBeLessThanOrEqual(CHECKS_AT_A_TIME);
});
