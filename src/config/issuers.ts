import { ANY_TEXT, list, section, value } from './keys.ts';
import { choice, duration, file, LONGEST_DURATION, serviceUrl, size, text } from './kinds.ts';
import { Misread } from './misread.ts';

/** One who signs tokens: its keys, and what a token of its must say. Verified wholly with this, never with another's. */
export interface JwtIssuerConfig {
  /** `iss`, exactly. Absent: for the tokens whose `iss` no other entry names, or that have none; `iss` is not checked. */
  readonly issuer?: string;
  /** `aud` must name one of them. Empty: not checked. */
  readonly audience: readonly string[];
  /** The only ones ever accepted, whatever a token says. */
  readonly algorithms: readonly string[];
  readonly keys: readonly KeyConfig[];
  /** https, or http on this very machine. */
  readonly jwksUrl?: string;
  /** PEM: the authorities that `jwksUrl` is believed by, instead of the well-known ones. */
  readonly jwksCaFile?: string;
  /** For `exp`, `nbf` and `iat`. */
  readonly clockToleranceMs: number;
  /** `typ` of the header; `at+jwt` and `application/at+jwt` are the same. Default: not checked. */
  readonly type?: string;
  /** Beside `exp`, which every token must have: what never expires can neither be cached nor be forgotten once revoked. */
  readonly requiredClaims: readonly string[];
  /** Since `iat`, which is then required. 0: no limit. */
  readonly maxTokenAgeMs: number;
  /** Its tokens are tickets: each opens one stream. Absent: they are good until they expire. */
  readonly ticket?: TicketConfig;
  readonly jwks: {
    readonly timeoutMs: number;
    readonly cooldownMs: number;
    readonly maxAgeMs: number;
    readonly maxBytes: number;
  };
}

/** Both from the ticket's `iat` on. */
export interface TicketConfig {
  /** How late its `exp` may be. */
  readonly maxAgeMs: number;
  /** When the stream that it opened ends. Never below `maxAgeMs`. */
  readonly sessionMs: number;
}

/** One entry of `keys:`. Exactly one of the last six is given. */
export interface KeyConfig {
  /** Not with `jwksFile`, whose keys bring their own. */
  readonly kid?: string;
  /** Default: every allowed algorithm that the key is made for. */
  readonly algorithm?: string;
  /** UTF-8, 32 bytes or more (48 for HS384, 64 for HS512). White space around it does not count. */
  readonly secret?: string;
  readonly secretFile?: string;
  /** PEM: SPKI or an X.509 certificate. */
  readonly publicKey?: string;
  readonly publicKeyFile?: string;
  readonly jwk?: Readonly<Record<string, unknown>>;
  readonly jwksFile?: string;
}

/** What `auth/algorithms.ts` can verify; a test holds the two together. */
export const ALGORITHMS = [
  'HS256',
  'HS384',
  'HS512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const;

const jwk = value(
  {
    form: 'jwk',
    type: 'JWK',
    json: { type: 'object', required: ['kty'] },
    expected: 'a JWK: a mapping with kty and what belongs to it',
    read: (input) => (isRecord(input) && typeof input.kty === 'string' ? input : new Misread()),
  },
  {
    description: 'A public key, or with `kty: oct` a secret, as a JWK (RFC 7517).',
    example: '{ kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo }',
    secret: ANY_TEXT,
  },
);

const key = section('One key. Of the last six exactly one is given.', {
  kid: text({
    expected: 'a key id',
    description:
      'Its id: tokens that name another are not tried with it. Not beside `jwksFile`, whose keys bring their own.',
    example: 'key-1',
  }).optional(),
  algorithm: choice(ALGORITHMS, {
    description:
      "Narrows it to one of the issuer's `algorithms`; otherwise it serves all that it is made for.",
    example: 'RS256',
  }).optional(),
  secret: text({
    expected: 'a shared secret',
    description: `A shared secret for HS algorithms, at least 32 bytes (48 for HS384, 64 for HS512), best as \`\${TOKEN_SECRET}\`.`,
    example: `\${TOKEN_SECRET}`,
    secret: ANY_TEXT,
  }).optional(),
  secretFile: file({
    description:
      'A file with the shared secret; white space around it is cut off. Read again when it changes.',
    example: '/run/secrets/token-secret',
  }).optional(),
  publicKey: text({
    type: 'PEM',
    expected: 'a public key or certificate in PEM (-----BEGIN PUBLIC KEY-----)',
    pattern: '^(?![\\s\\S]*PRIVATE KEY)\\s*-----BEGIN ',
    description: 'A public key or X.509 certificate in PEM.',
    example: `\${TOKEN_PUBLIC_KEY}`,
    secret: ANY_TEXT,
  }).optional(),
  publicKeyFile: file({
    description: 'A PEM file with a public key or an X.509 certificate. Read again when it changes.',
    example: 'keys/token.pub.pem',
  }).optional(),
  jwk: jwk.optional(),
  jwksFile: file({
    description: 'A JSON file with a JWK Set (RFC 7517 5). Read again when it changes.',
    example: 'keys/jwks.json',
  }).optional(),
});

const jwks = section('How the keys under `jwksUrl` are fetched.', {
  timeout: duration({
    min: '100ms',
    max: '1m',
    description: 'How long one fetch may take.',
  }).prefault('5s'),
  cooldown: duration({
    min: '1s',
    max: '1h',
    description: 'At most one fetch in this time, whatever tokens ask for.',
  }).prefault('30s'),
  maxAge: duration({
    min: '1s',
    max: '7d',
    description:
      'When the keys are fetched anew. Until that succeeds the known ones go on working. Shorten it to have withdrawn keys forgotten sooner.',
  }).prefault('10m'),
  maxBytes: size({
    min: '1KiB',
    max: '16MiB',
    description: 'The largest answer that is taken.',
  }).prefault('512KiB'),
}).prefault({});

const ticket = section(
  'Makes the tokens of this issuer tickets for the URL of an EventSource: each opens one stream, once, and is of no use to who reads it in a log afterwards. They need a `jti` and an `iat`; see [security.md](security.md#one-time-tickets).',
  {
    maxAge: duration({
      min: '5s',
      max: '10m',
      description:
        'How long after its `iat` a ticket may expire at most; one that is good for longer is refused. Long enough for the page to open its stream, and no longer.',
    }).prefault('60s'),
    session: duration({
      min: '5s',
      max: LONGEST_DURATION,
      description:
        'How long after its `iat` the stream that a ticket opened may last. The claim `session_exp` of a ticket can only shorten it.',
    }).prefault('1h'),
  },
).optional();

const issuer = section(
  'Tokens signed by one issuer (RFC 7519), verified with its own keys and rules; the `iss` in the token picks the entry. A token without `exp` is not taken.',
  {
    issuer: text({
      expected: 'an issuer like https://id.example.com/',
      description:
        '`iss`, exactly as in the tokens. Without it the entry is for the tokens that no other entry names, and `iss` is not checked.',
      example: 'https://id.example.com/',
    }).optional(),
    audience: list(
      text({ expected: 'an audience like https://api.example.com', description: 'One audience.' }),
      {
        description:
          '`aud` must hold one of these. Set it wherever the issuer also signs tokens for others, or theirs are good here too.',
        example: '[https://api.example.com]',
      },
    ).prefault([]),
    algorithms: list(choice(ALGORITHMS, { description: 'One algorithm.' }), {
      required: 'the algorithms that the issuer signs with, like [RS256]',
      description:
        'The only algorithms that are taken, whatever a token says. HS algorithms need an entry of their own.',
      example: '[RS256]',
    }),
    keys: list(key, {
      description: 'Keys that are known here: there must be one, or a `jwksUrl`.',
    }).prefault([]),
    jwksUrl: serviceUrl({
      description:
        'Where the issuer publishes its keys as a JWK Set: `https://`, or `http://` on this very machine.',
      example: 'https://id.example.com/.well-known/jwks.json',
    }).optional(),
    jwksCaFile: file({
      description:
        'PEM certificates of the authorities to trust for `jwksUrl` instead of the well-known ones.',
      example: 'tls/issuer-ca.crt',
    }).optional(),
    clockTolerance: duration({
      min: '1s',
      max: '10m',
      zero: 'none',
      description:
        'How far the clocks of the issuer and of this machine may be apart when a token is checked. It does not stretch `exp`: by the clock of this machine an open stream ends then, and no stream is given from then on.',
    }).prefault('5s'),
    type: text({
      expected: 'a token type like at+jwt',
      description:
        "`typ` of the token's header, like `at+jwt` (RFC 9068). Set it where the issuer also signs other tokens for the same audience, such as ID tokens.",
      example: 'at+jwt',
    }).optional(),
    requiredClaims: list(text({ expected: 'the name of a claim like sub', description: 'One claim.' }), {
      description: 'Claims that a token must have besides `exp`.',
      example: '[sub]',
    }).prefault([]),
    maxTokenAge: duration({
      min: '1s',
      max: '366d',
      zero: 'no limit',
      description:
        'How long ago a token may have been issued (`iat`, which it then must have), whatever its `exp`. Its streams end then, too.',
    }).prefault('0s'),
    ticket,
    jwks,
  },
);

/** What the config has under `auth.jwt`. */
export const issuers = list(issuer, {
  description: 'JSON Web Tokens: an entry for each issuer.',
}).prefault([]);

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
