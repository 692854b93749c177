import type { AccessConfig } from './access.ts';
import type { AuthConfig } from './auth.ts';
import type { NamedFiles } from './files.ts';
import type { JwtIssuerConfig, KeyConfig } from './issuers.ts';
import { pick } from './pick.ts';
import type { Settings } from './schema.ts';

type Auth = Settings['auth'];

/** `auth` as the other rooms read it. */
export function resolveAuth(auth: Auth, files: NamedFiles): AuthConfig {
  const { introspection, callout, access, cache } = auth;
  return pick({
    token: auth.token,
    jwt: auth.jwt.map((issuer, index) => resolveIssuer(issuer, `auth.jwt[${index}]`, files)),
    introspection: introspection && resolveIntrospection(introspection, files),
    callout: callout && {
      subject: callout.subject,
      timeoutMs: callout.timeout,
      concurrency: callout.concurrency,
    },
    access: {
      timeoutMs: access.timeout,
      concurrency: access.concurrency,
      cache: {
        size: access.cache.size,
        allowTtlMs: access.cache.allowTtl,
        denyTtlMs: access.cache.denyTtl,
      },
    },
    cache: { size: cache.size, maxTtlMs: cache.maxTtl, badTtlMs: cache.badTtl },
    failureRatePerSecond: auth.failureRate,
  });
}

function resolveIntrospection(
  { timeout, clientSecretFile: _, ...rest }: NonNullable<Auth['introspection']>,
  files: NamedFiles,
): NonNullable<AuthConfig['introspection']> {
  const clientSecret = rest.clientSecret ?? files.get('auth.introspection.clientSecretFile')?.content;
  return pick({ ...rest, clientSecret, timeoutMs: timeout });
}

function resolveIssuer(issuer: Auth['jwt'][number], place: string, files: NamedFiles): JwtIssuerConfig {
  const { clockTolerance, maxTokenAge, ticket, jwks, keys, ...rest } = issuer;
  return pick({
    ...rest,
    keys: keys.map((key, index) => resolveKey(key, `${place}.keys[${index}]`, files)),
    jwksCaFile: files.get(`${place}.jwksCaFile`)?.path,
    clockToleranceMs: clockTolerance,
    maxTokenAgeMs: maxTokenAge,
    ticket: ticket && { maxAgeMs: ticket.maxAge, sessionMs: ticket.session },
    jwks: {
      timeoutMs: jwks.timeout,
      cooldownMs: jwks.cooldown,
      maxAgeMs: jwks.maxAge,
      maxBytes: jwks.maxBytes,
    },
  });
}

function resolveKey(key: Auth['jwt'][number]['keys'][number], place: string, files: NamedFiles): KeyConfig {
  return pick({
    ...key,
    secretFile: files.get(`${place}.secretFile`)?.path,
    publicKeyFile: files.get(`${place}.publicKeyFile`)?.path,
    jwksFile: files.get(`${place}.jwksFile`)?.path,
  });
}

/** A route's `access` as the other rooms read it: each rule by its kind. */
export function resolveAccess(access: Settings['channels'][string]['access']): readonly AccessConfig[] {
  return access.flatMap((rule): AccessConfig[] => {
    if (typeof rule === 'string') return [{ kind: rule }];
    const { where, claim, callout: subject } = rule;
    if (where !== undefined) return [{ kind: 'where', where }];
    if (claim !== undefined) return [{ kind: 'claim', claim }];
    return subject === undefined ? [] : [{ kind: 'callout', subject }];
  });
}
