import { signToken } from '../auth/sign.ts';
import { systemClock } from '../clock.ts';
import { loadConfig } from '../config/load.ts';
import { parseDuration } from '../config/units.ts';
import { UsageError } from './arguments.ts';
import { print } from './print.ts';

/** The options of `token`, as they were given. */
export interface TokenFlags {
  readonly sub?: string | undefined;
  readonly claim: readonly string[];
  readonly ttl?: string | undefined;
  readonly ticket: boolean;
  readonly issuer?: string | undefined;
  readonly key?: string | undefined;
}

/**
 * Signs a token with the config's own key and prints it.
 * @throws UsageError, ConfigError, SidestreamError where there is no key to sign with
 */
export async function token(file: string, flags: TokenFlags): Promise<number> {
  const { sub, claim, ttl, issuer, ticket, key } = flags;
  const lifetimeMs = ttl === undefined ? undefined : parseDuration(ttl);
  if (ttl !== undefined && (lifetimeMs === undefined || lifetimeMs < 1000))
    throw new UsageError(`--ttl ${ttl} is not a duration like 15m, of a second or more`);
  const claims = { ...(sub !== undefined && { sub }), ...Object.fromEntries(claim.map(readClaim)) };
  const { auth } = loadConfig(file);
  const signed = await signToken(auth.jwt, {
    claims,
    issuer,
    ticket,
    privateKeyFile: key,
    lifetimeS: lifetimeMs === undefined ? undefined : Math.floor(lifetimeMs / 1000),
    nowS: Math.floor(systemClock.wall() / 1000),
  });
  return print(`${signed}\n`);
}

/** `team=7` → a number, `channels=["chat-*"]` → a list, `name=Ada` → text. */
function readClaim(pair: string): [string, unknown] {
  const at = pair.indexOf('=');
  if (at < 1) throw new UsageError(`--claim ${JSON.stringify(pair)} is not NAME=VALUE`);
  const text = pair.slice(at + 1);
  try {
    return [pair.slice(0, at), JSON.parse(text)];
  } catch {
    // SyntaxError: not JSON, so it is text.
    return [pair.slice(0, at), text];
  }
}
