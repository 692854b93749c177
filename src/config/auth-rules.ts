import { type Finding, type Judgement, onlyOne } from './findings.ts';
import type { Path } from './outline.ts';
import type { Config, Settings } from './schema.ts';

type Auth = Settings['auth'];
type Issuer = Auth['jwt'][number];
type Key = Issuer['keys'][number];

const PATH = ['auth'];
const SECRETS = ['secret', 'secretFile'] as const;
const PUBLIC_KEYS = ['publicKey', 'publicKeyFile'] as const;
const KEYS = [...SECRETS, ...PUBLIC_KEYS, 'jwk', 'jwksFile'] as const;

/** Whether there is a way to check tokens. */
export function canVerify({ jwt, introspection, callout }: Auth | Config['auth']): boolean {
  return jwt.length > 0 || introspection !== undefined || callout !== undefined;
}

/** The rules for what stands under `auth`. */
export function checkAuth({ auth, control }: Settings, judgement: Judgement): Finding[] {
  if (!judgement.readable(...PATH)) return [];
  return [
    ...checkBuckets(control, judgement),
    ...checkTokenPlaces(auth, judgement),
    ...onlyOne(auth, ['introspection', 'callout'], PATH),
    ...checkIntrospection(auth, judgement),
    ...checkIssuers(auth, judgement),
  ];
}

function checkTokenPlaces({ token }: Auth, { sound }: Judgement): Finding[] {
  const path = [...PATH, 'token'];
  if (!sound(...path) || token.length > 0) return [];
  return [{ path, message: 'is empty: no request could bring a token; name one place at least' }];
}

function checkBuckets(
  { bucket, ticketBucket, channelBucket, inboxBucket }: Settings['control'],
  { sound }: Judgement,
): Finding[] {
  if (!sound('control')) return [];
  const findings: Finding[] = [];
  if (bucket === ticketBucket) {
    const message = 'is the bucket of revocations: give used tickets one of their own';
    findings.push({ path: ['control', 'ticketBucket'], message });
  }
  if (channelBucket === bucket || channelBucket === ticketBucket) {
    const message = `is the bucket of ${channelBucket === bucket ? 'revocations' : 'used tickets'}: give channels one of their own`;
    findings.push({ path: ['control', 'channelBucket'], message });
  }
  if ([bucket, ticketBucket, channelBucket].includes(inboxBucket)) {
    const message = 'is the bucket of something else: give what users have read one of its own';
    findings.push({ path: ['control', 'inboxBucket'], message });
  }
  return findings;
}

function checkIntrospection({ introspection }: Auth, { readable }: Judgement): Finding[] {
  const path = [...PATH, 'introspection'];
  if (introspection === undefined || !readable(...path)) return [];
  const { clientId, clientSecret, clientSecretFile } = introspection;
  const findings = onlyOne(introspection, ['clientSecret', 'clientSecretFile'], path);
  if (clientId === undefined && (clientSecret ?? clientSecretFile) !== undefined)
    findings.push({ path: [...path, 'clientId'], message: 'is missing: a secret needs a clientId' });
  return findings;
}

function checkIssuers({ jwt }: Auth, judgement: Judgement): Finding[] {
  if (!judgement.readable(...PATH, 'jwt')) return [];
  const seen = new Set<string | undefined>();
  return jwt.flatMap((issuer, index) => {
    const path = [...PATH, 'jwt', index];
    if (!judgement.readable(...path)) return [];
    const findings = checkIssuer(issuer, path, judgement);
    if (!judgement.sound(...path, 'issuer')) return findings;
    const message =
      issuer.issuer === undefined
        ? 'has no issuer, as an entry above: only one may be for all the tokens that no other names'
        : 'has an entry above already: put its keys there';
    if (seen.has(issuer.issuer)) findings.push({ path: [...path, 'issuer'], message });
    seen.add(issuer.issuer);
    return findings;
  });
}

function checkIssuer(issuer: Issuer, path: Path, { readable, sound }: Judgement): Finding[] {
  const { algorithms, jwksUrl, keys } = issuer;
  const hasAlgorithms = sound(...path, 'algorithms');
  const findings = hasAlgorithms ? checkAlgorithms(issuer, path) : [];
  if (sound(...path, 'ticket')) findings.push(...checkTicket(issuer, path, sound));
  if (!readable(...path, 'keys')) return findings;
  if (keys.length === 0 && jwksUrl === undefined && sound(...path, 'jwksUrl'))
    findings.push({ path: [...path, 'keys'], message: 'is missing: give a key or a jwksUrl' });
  for (const [index, key] of keys.entries()) {
    const here = [...path, 'keys', index];
    if (!sound(...here)) continue;
    findings.push(...checkKey(key, here));
    if (hasAlgorithms && algorithms.length > 0) findings.push(...checkPurpose(key, here, algorithms));
  }
  return findings;
}

function checkAlgorithms({ algorithms, jwksUrl }: Issuer, path: Path): Finding[] {
  const here = [...path, 'algorithms'];
  if (algorithms.length === 0)
    return [{ path: here, message: 'is empty: name the algorithms that the issuer signs with' }];
  if (!algorithms.some(isSymmetric)) return [];
  if (!algorithms.every(isSymmetric)) {
    const message =
      'holds HS algorithms beside others: so that a public key never passes for a shared secret, give each kind an entry of its own';
    return [{ path: here, message }];
  }
  if (jwksUrl === undefined) return [];
  const message = 'is given with HS algorithms, but a secret that is published is none: take it out';
  return [{ path: [...path, 'jwksUrl'], at: 'key', message }];
}

function checkTicket(
  { ticket, maxTokenAge, clockTolerance }: Issuer,
  path: Path,
  sound: Judgement['sound'],
): Finding[] {
  if (ticket === undefined) return [];
  const findings: Finding[] = [];
  if (ticket.session < ticket.maxAge) {
    const message = 'is shorter than maxAge: a ticket could outlive the stream that it is for';
    findings.push({ path: [...path, 'ticket', 'session'], message });
  }
  if (sound(...path, 'maxTokenAge') && maxTokenAge > 0) {
    const message = 'is given beside ticket, whose maxAge says how old one may be: take it out';
    findings.push({ path: [...path, 'maxTokenAge'], at: 'key', message });
  }
  if (sound(...path, 'clockTolerance') && clockTolerance > ticket.maxAge) {
    const message = 'is longer than ticket.maxAge: a ticket would be good for more than twice what it says';
    findings.push({ path: [...path, 'clockTolerance'], message });
  }
  return findings;
}

function checkKey(key: Key, path: Path): Finding[] {
  const findings = onlyOne(key, KEYS, path);
  if (KEYS.every((name) => key[name] === undefined))
    findings.push({ path, message: `holds no key: give one of ${KEYS.join(', ')}` });
  if (key.kid !== undefined && key.jwksFile !== undefined) {
    const message = 'is given beside jwksFile, whose keys bring their own: take it out';
    findings.push({ path: [...path, 'kid'], at: 'key', message });
  }
  return findings;
}

/** Whether a key can serve the algorithms, as far as that shows without opening files. */
function checkPurpose(key: Key, path: Path, algorithms: Issuer['algorithms']): Finding[] {
  const { algorithm, secret } = key;
  if (algorithm !== undefined && !algorithms.includes(algorithm))
    return [{ path: [...path, 'algorithm'], message: 'is none of the algorithms of the issuer' }];
  const wanted = algorithm === undefined ? algorithms : [algorithm];
  const unfit = [
    ...(wanted.some(isSymmetric) ? [] : SECRETS),
    ...(wanted.every(isSymmetric) ? PUBLIC_KEYS : []),
  ].filter((name) => key[name] !== undefined);
  const message = `does not fit ${wanted.join(', ')}: HS algorithms take a secret, the others a public key`;
  const findings = unfit.map((name): Finding => ({ path: [...path, name], at: 'key', message }));
  const leastBytes = Math.min(...wanted.filter(isSymmetric).map(secretBytes));
  if (secret !== undefined && unfit.length === 0 && Buffer.byteLength(secret.trim()) < leastBytes)
    findings.push({
      path: [...path, 'secret'],
      message: `has less than ${leastBytes} bytes: \`openssl rand -base64 ${leastBytes}\` makes one`,
    });
  return findings;
}

function isSymmetric(algorithm: string): boolean {
  return algorithm.startsWith('HS');
}

/** RFC 7518 3.2: at least the size of the hash, which stands in the algorithm's name. */
function secretBytes(algorithm: string): number {
  return Number(algorithm.slice(2)) / 8;
}
