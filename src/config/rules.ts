import { clashes } from './addresses.ts';
import { checkAuth } from './auth-rules.ts';
import { checkControl } from './control-rules.ts';
import { type Finding, type Judgement, onlyOne } from './findings.ts';
import { checkOps } from './ops-rules.ts';
import type { Path } from './outline.ts';
import { checkRoutes } from './route-rules.ts';
import type { Settings } from './schema.ts';
import { checkPending } from './shaping-rules.ts';

/** Keys under `nats.auth`, by the way to log in that they belong to. */
const WAYS_TO_LOG_IN = [
  ['credsFile'],
  ['nkeySeedFile'],
  ['token', 'tokenFile'],
  ['user', 'password', 'passwordFile'],
] as const;

const RULES = [
  checkCors,
  checkTls,
  checkListeners,
  checkOps,
  checkNatsAuth,
  checkCompression,
  checkAuth,
  checkControl,
  checkPending,
  checkRoutes,
];

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

function checkCompression({ sse: { compression } }: Settings, { sound }: Judgement): Finding[] {
  if (!sound('sse', 'compression')) return [];
  const message = 'is listed before: keep one';
  return compression.flatMap((coding, index) =>
    compression.indexOf(coding) < index ? [{ path: ['sse', 'compression', index], message }] : [],
  );
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

function checkNatsAuth({ nats }: Settings, { readable }: Judgement): Finding[] {
  const path = ['nats', 'auth'];
  if (!readable(...path)) return [];
  const { auth } = nats;
  const [first, ...others] = WAYS_TO_LOG_IN.flatMap(
    (way) => way.find((key) => auth[key] !== undefined) ?? [],
  );
  const message = `is a second way to log in beside ${first}: keep one`;
  return [
    ...others.map((key): Finding => ({ path: [...path, key], at: 'key', message })),
    ...onlyOne(auth, ['token', 'tokenFile'], path),
    ...onlyOne(auth, ['password', 'passwordFile'], path),
    ...checkUser(auth, path),
  ];
}

function checkUser({ user, password, passwordFile }: Settings['nats']['auth'], path: Path): Finding[] {
  const hasPassword = password !== undefined || passwordFile !== undefined;
  if (hasPassword === (user !== undefined)) return [];
  return hasPassword
    ? [{ path: [...path, 'user'], message: 'is missing: a password needs a user' }]
    : [{ path: [...path, 'password'], message: 'is missing: a user needs a password, or a passwordFile' }];
}
