import { createHash } from 'node:crypto';
import { nkeys } from '@nats-io/transport-node';

type KeyPair = ReturnType<typeof nkeys.createUser>;

/** An NKey: what the server is told, and what the client keeps. */
export function makeNkey(): { publicKey: string; seed: string } {
  const user = nkeys.createUser();
  return { publicKey: user.getPublicKey(), seed: seedOf(user) };
}

/** One user of one account of one operator: the server's config, and the user's `.creds` file as `nsc` writes it. */
export function makeCreds(): { config: string; creds: string } {
  const [operator, account, user] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createUser()];
  const unlimited = { subs: -1, data: -1, payload: -1 };
  const operatorJwt = sign(operator, operator, { type: 'operator' });
  const accountLimits = { ...unlimited, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
  const accountJwt = sign(operator, account, {
    type: 'account',
    limits: accountLimits,
    default_permissions: { pub: {}, sub: {} },
  });
  const userJwt = sign(account, user, { type: 'user', pub: {}, sub: {}, ...unlimited });
  return {
    config: `operator: ${operatorJwt}\nresolver: MEMORY\nresolver_preload: { ${account.getPublicKey()}: ${accountJwt} }\n`,
    creds: `${armoured('NATS USER JWT', userJwt)}\n${armoured('USER NKEY SEED', seedOf(user))}`,
  };
}

function seedOf(pair: KeyPair): string {
  return Buffer.from(pair.getSeed()).toString();
}

// https://docs.nats.io/running-a-nats-service/nats_admin/security/jwt: a JWT signed by an NKey.
function sign(issuer: KeyPair, subject: KeyPair, nats: Readonly<Record<string, unknown>>): string {
  const claims = {
    iat: Math.floor(Date.now() / 1000),
    iss: issuer.getPublicKey(),
    name: 'test',
    sub: subject.getPublicKey(),
    nats: { ...nats, version: 2 },
  };
  const jti = createHash('sha256').update(JSON.stringify(claims)).digest('hex');
  const signed = [
    { typ: 'JWT', alg: 'ed25519-nkey' },
    { ...claims, jti },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${signed}.${Buffer.from(issuer.sign(Buffer.from(signed))).toString('base64url')}`;
}

function armoured(what: string, content: string): string {
  return `-----BEGIN ${what}-----\n${content}\n------END ${what}------\n`;
}
