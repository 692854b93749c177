import {
  type CryptoKey,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JWK,
  type JWTHeaderParameters,
  SignJWT,
} from 'jose';
import { expect, onTestFinished } from 'vitest';
import type { Identity, TokenFault, Verification } from '../../src/auth/identity.ts';
import type { JwtIssuerOptions } from '../../src/auth/issuer.ts';
import type { JwksOptions } from '../../src/auth/jwks.ts';
import { createJwtVerifier, type JwtVerifier } from '../../src/auth/jwt.ts';
import { createLog, type Logger } from '../../src/log.ts';
import { ManualClock } from '../support/clock.ts';

/** An issuer's key pair. */
export interface Signer {
  readonly alg: string;
  readonly kid: string | undefined;
  readonly privateKey: CryptoKey;
  /** Public, SPKI. */
  readonly pem: string;
  /** Public, with `kid` and `alg`. */
  readonly jwk: JWK;
}

export async function signer(alg: string, kid?: string): Promise<Signer> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), alg, ...(kid !== undefined && { kid }) };
  return { alg, kid, privateKey, pem: await exportSPKI(publicKey), jwk };
}

export interface TokenOptions {
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly header?: Partial<JWTHeaderParameters>;
}

/** The second at which {@link ManualClock} stands. */
export const NOW_S = Date.UTC(2026, 0, 1) / 1000;

/** A token for user 42 that expires in a minute; a claim of `undefined` is left out. */
export function token(by: Signer, { claims = {}, header = {} }: TokenOptions = {}): Promise<string> {
  const { alg, kid, privateKey } = by;
  return new SignJWT({ sub: '42', exp: NOW_S + 60, ...claims })
    .setProtectedHeader({ alg, ...(kid !== undefined && { kid }), ...header })
    .sign(privateKey);
}

/** The same, signed with a secret. */
export function secretToken(secret: string, alg = 'HS256', { claims = {}, header = {} }: TokenOptions = {}) {
  return new SignJWT({ sub: '42', exp: NOW_S + 60, ...claims })
    .setProtectedHeader({ alg, ...header })
    .sign(Buffer.from(secret));
}

/** Any three parts, whether they make sense or not. */
export function forged(header: unknown, claims: unknown, signature = 'c2lnbmF0dXJl'): string {
  const part = (value: unknown) =>
    Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
  return `${part(header)}.${part(claims)}.${signature}`;
}

/** How key sets are fetched, where a test does not say otherwise. */
export const JWKS: JwksOptions = {
  timeoutMs: 5000,
  cooldownMs: 30_000,
  maxAgeMs: 600_000,
  maxBytes: 64 * 1024,
};

export function issuerOptions(options: Partial<JwtIssuerOptions>): JwtIssuerOptions {
  return {
    audience: [],
    algorithms: ['RS256'],
    keys: [],
    clockToleranceMs: 5000,
    requiredClaims: [],
    maxTokenAgeMs: 0,
    jwks: JWKS,
    ...options,
  };
}

export interface Captured {
  readonly log: Logger;
  readonly lines: string[];
}

export function captureLog(): Captured {
  const lines: string[] = [];
  const log = createLog({ level: 'debug', format: 'json' }, { write: (line) => void lines.push(line) });
  return { log, lines };
}

export interface TestVerifier {
  readonly verifier: JwtVerifier;
  readonly clock: ManualClock;
  /** What was logged, a JSON object each. */
  readonly lines: readonly string[];
  /** The user, or the fault: what a test most often asks. */
  verdict(token: string): Promise<string | undefined>;
}

/** A verifier that has started; stopped when the test is over. */
export async function startVerifier(...issuers: Partial<JwtIssuerOptions>[]): Promise<TestVerifier> {
  const clock = new ManualClock();
  const { log, lines } = captureLog();
  const verifier = createJwtVerifier(issuers.map(issuerOptions), { clock, log });
  onTestFinished(() => verifier.stop());
  await verifier.start();
  const verdict = async (text: string) => {
    const answer = await verifier.verify(text);
    return 'rejected' in answer ? answer.rejected : answer.subject;
  };
  return { verifier, clock, lines, verdict };
}

/** Attempts to fetch key sets, and those of them that failed. */
export function fetchesOf({ keySets }: JwtVerifier): [number, number] {
  const counts = [...keySets.values()];
  return [counts.reduce((sum, { all }) => sum + all, 0), counts.reduce((sum, { failed }) => sum + failed, 0)];
}

export function accepted(verification: Verification): Identity {
  if ('rejected' in verification)
    throw new Error(`rejected: ${verification.rejected}, ${verification.detail}`);
  return verification;
}

export function refused(verification: Verification, fault: TokenFault): void {
  expect(verification).toEqual({ rejected: fault, detail: expect.any(String) });
}
