// Tokens as an issuer signs them, and what Sidestream is told about them. Signed with node:crypto: 10,000 have to be
// ready before anything is measured, and a library's promises would take longer than the signatures.
import { generateKeyPairSync, sign } from 'node:crypto';

const ISSUER = 'https://id.bench.example';
const AUDIENCE = 'https://events.bench.example';
const LIFETIME_S = 3600;

/** @returns {{ publicKey: string, privateKey: string }} a new ES256 pair in PEM */
export function tokenKeys() {
  return generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
}

/** The config's `auth` for tokens by the key in that file. */
export const authConfig = (publicKeyFile) =>
  `auth: { jwt: { issuer: ${ISSUER}, audience: [${AUDIENCE}], algorithms: [ES256], keys: [{ publicKeyFile: ${publicKeyFile} }] } }`;

/**
 * `count` tokens of as many users, none like any signed before by anybody.
 * @param {{ privateKey: string, count: number }} wanted
 * @returns {string[]}
 */
export function signTokens({ privateKey, count }) {
  const iat = Math.floor(Date.now() / 1000);
  const series = process.hrtime.bigint();
  const head = encode({ alg: 'ES256', typ: 'JWT' });
  return Array.from({ length: count }, (_, index) => {
    const sub = `user-${series}-${index}`;
    const claims = { iss: ISSUER, aud: AUDIENCE, sub, jti: `${sub}-1`, iat, exp: iat + LIFETIME_S };
    const text = `${head}.${encode(claims)}`;
    // RFC 7518 3.4: R and S side by side, not in DER.
    const signature = sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    return `${text}.${signature.toString('base64url')}`;
  });
}

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
