import { loadConfiguredKeys } from '../auth/configured-keys.ts';
import { formatNotices, readConfig } from '../config/load.ts';
import { print } from './print.ts';

/**
 * Says what is to be said of a config that has no problem.
 * @throws ConfigError with every problem; SidestreamError where a key is of no use
 */
export async function check(file: string): Promise<number> {
  const { config, notices } = readConfig(file);
  // What the start would find out: whether the files and JWKs hold keys that are of use.
  for (const issuer of config.auth.jwt) await loadConfiguredKeys(issuer);
  return print(notices.length === 0 ? `${file}: no problems\n` : `${formatNotices(notices)}\n`);
}
