import { clashes } from './addresses.ts';
import type { Finding, Judgement } from './findings.ts';
import type { Path } from './outline.ts';
import { checkRoutes } from './route-rules.ts';
import type { Settings } from './schema.ts';

/** Keys under `nats.auth`, by the way to log in that they belong to. */
const WAYS_TO_LOG_IN = [
  ['credsFile'],
  ['nkeySeedFile'],
  ['token', 'tokenFile'],
  ['user', 'password', 'passwordFile'],
] as const;

const RULES = [checkCors, checkTls, checkListeners, checkAuth, checkRoutes];

/**
 * The rules over several keys. Each looks only at keys that were read well, and runs whatever else is wrong, so that
 * one run tells all.
 */
export function checkRules(settings: Settings, judgement: Judgement): Finding[] {
  if (!judgement.readable()) return [];
  return RULES.flatMap((rule) => rule(settings, judgement));
}

function checkCors({ http }: Settings, { sound }: Judgement): Finding[] {
  const path = ['http', 'cors', 'origins'];
  if (!sound(...path) || !http.cors.origins.includes('*')) return [];
  const findings: Finding[] = [];
  if (http.cors.origins.length > 1) {
    findings.push({
      path,
      message: 'holds "*" beside other origins: "*" is any origin, so keep it alone or list the exact ones',
    });
  }
  if (sound('http', 'cors', 'credentials') && http.cors.credentials) {
    const message =
      'cannot be true while origins holds "*", which browsers refuse with credentials: list the exact origins';
    findings.push({ path: ['http', 'cors', 'credentials'], message });
  }
  return findings;
}

function checkTls({ http, nats }: Settings, { readable }: Judgement): Finding[] {
  const findings: Finding[] = [];
  if (readable('http', 'tls')) findings.push(...checkPair(http.tls, ['http', 'tls']));
  if (readable('nats', 'tls')) findings.push(...checkPair(nats.tls, ['nats', 'tls']));
  return findings;
}

function checkPair(
  files: { certFile?: string | undefined; keyFile?: string | undefined },
  path: Path,
): Finding[] {
  if ((files.certFile === undefined) === (files.keyFile === undefined)) return [];
  const [missing, given] = files.certFile === undefined ? ['certFile', 'keyFile'] : ['keyFile', 'certFile'];
  return [
    {
      path: [...path, missing],
      message: `is missing: ${given} is given, and a certificate and its key go together`,
    },
  ];
}

function checkListeners({ http, ops }: Settings, { sound }: Judgement): Finding[] {
  if (!sound('http', 'listen') || !sound('ops', 'listen') || !clashes(http.listen, ops.listen)) return [];
  // Two listeners may share a port (SO_REUSEPORT): browsers would now and then be given the metrics.
  return [
    {
      path: ['ops', 'listen'],
      message: 'takes the port of http.listen: give metrics and probes a port of their own',
    },
  ];
}

function checkAuth({ nats }: Settings, { readable }: Judgement): Finding[] {
  if (!readable('nats', 'auth')) return [];
  const { auth } = nats;
  const ways = WAYS_TO_LOG_IN.map((way) => way.filter((key) => auth[key] !== undefined));
  const [first, ...others] = ways.flatMap(([key]) => (key === undefined ? [] : [key]));
  const findings = others.map((key) =>
    authFinding(key, 'key', `is a second way to log in beside ${first}: keep one`),
  );
  if (auth.token !== undefined && auth.tokenFile !== undefined) {
    findings.push(authFinding('tokenFile', 'key', 'is given beside token: keep one of the two'));
  }
  return [...findings, ...checkUser(auth)];
}

function checkUser({ user, password, passwordFile }: Settings['nats']['auth']): Finding[] {
  const given = password === undefined ? passwordFile : password;
  if (password !== undefined && passwordFile !== undefined) {
    return [authFinding('passwordFile', 'key', 'is given beside password: keep one of the two')];
  }
  if (user !== undefined && given === undefined) {
    return [authFinding('password', undefined, 'is missing: a user needs a password, or a passwordFile')];
  }
  return user === undefined && given !== undefined
    ? [authFinding('user', undefined, 'is missing: a password needs a user')]
    : [];
}

function authFinding(key: string, at: 'key' | undefined, message: string): Finding {
  return { path: ['nats', 'auth', key], ...(at === undefined ? {} : { at }), message };
}
