import { issuers, type JwtIssuerConfig } from './issuers.ts';
import { ANY_TEXT, list, section, value } from './keys.ts';
import { count, duration, file, rate, serviceUrl, subject, text } from './kinds.ts';
import { Misread } from './misread.ts';

/** How tokens are found and checked. */
export interface AuthConfig {
  /** In this order; never empty. */
  readonly token: readonly TokenPlace[];
  readonly jwt: readonly JwtIssuerConfig[];
  readonly introspection?: {
    readonly url: string;
    readonly clientId?: string;
    readonly clientSecret?: string;
    /** `aud` must name one of them. Empty: not checked. */
    readonly audience: readonly string[];
    /** `iss`, exactly. Absent: not checked. */
    readonly issuer?: string;
    readonly timeoutMs: number;
    readonly concurrency: number;
  };
  readonly callout?: {
    readonly subject: string;
    readonly timeoutMs: number;
    readonly concurrency: number;
  };
  /** Of the backends that routes name under `access`: `{ callout: SUBJECT }`. */
  readonly access: {
    readonly timeoutMs: number;
    /** Of each subject. */
    readonly concurrency: number;
    readonly cache: {
      /** Answers, of all subjects together. */
      readonly size: number;
      /** 0: not at all. */
      readonly allowTtlMs: number;
      /** 0: not at all. */
      readonly denyTtlMs: number;
    };
  };
  readonly cache: {
    /** Tokens. */
    readonly size: number;
    /** Of what introspection and callout said; a JWT is known until it expires. 0: not at all. */
    readonly maxTtlMs: number;
    /** 0: not at all. */
    readonly badTtlMs: number;
  };
  /** Of each address. May be a fraction. */
  readonly failureRatePerSecond: number;
}

export type TokenPlace =
  | { readonly in: 'bearer' }
  | { readonly in: 'cookie'; readonly name: string }
  | { readonly in: 'query'; readonly name: string };

/** RFC 6265 4.1.1: a cookie's name is a token (RFC 9110 5.6.2). */
const COOKIE_NAME = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
/** RFC 3986 2.3: what needs no escaping in a URL; less what the stream's own parameters are called. */
const QUERY_NAME = '(?!(channels|lastEventId|errors|wait|limit)$)[A-Za-z0-9._~-]+';
const TOKEN_PLACE = `^(bearer|cookie:(${COOKIE_NAME})|query:(${QUERY_NAME}))$`;

const tokenPlace = value<TokenPlace>(
  {
    form: 'text',
    type: '`bearer`, `cookie:NAME` or `query:NAME`',
    json: { type: 'string', pattern: TOKEN_PLACE },
    expected:
      "bearer, cookie:NAME or query:NAME, with a name that needs no escaping and is no parameter of the stream's own",
    read(input) {
      const found = new RegExp(TOKEN_PLACE).exec(typeof input === 'string' ? input : '');
      if (found === null) return new Misread();
      const [, , cookie, query] = found;
      if (cookie !== undefined) return { in: 'cookie', name: cookie };
      return query === undefined ? { in: 'bearer' } : { in: 'query', name: query };
    },
  },
  { description: 'One place.' },
);

const introspection = section(
  'Asks an authorisation server about each token that is not known yet (RFC 7662). When it is down, clients are asked to come back, never let in.',
  {
    url: serviceUrl({
      required: 'the introspection endpoint, like https://id.example.com/oauth2/introspect',
      description: 'The introspection endpoint: `https://`, or `http://` on this very machine.',
      example: 'https://id.example.com/oauth2/introspect',
    }),
    clientId: text({
      expected: 'a client id',
      description: 'What Sidestream authenticates as there (HTTP Basic).',
      example: 'sidestream',
    }).optional(),
    clientSecret: text({
      expected: 'a client secret',
      description: `The client's secret, best as \`\${CLIENT_SECRET}\`.`,
      example: `\${CLIENT_SECRET}`,
      secret: ANY_TEXT,
    }).optional(),
    clientSecretFile: file({
      content: 'secret',
      description: 'A file with the secret, instead of `clientSecret`; white space around it is cut off.',
      example: '/run/secrets/client-secret',
    }).optional(),
    audience: list(
      text({ expected: 'an audience like https://api.example.com', description: 'One audience.' }),
      {
        description:
          '`aud` of the answer must hold one of these. Set it wherever the server also issues tokens for others, or theirs are good here too.',
        example: '[https://api.example.com]',
      },
    ).prefault([]),
    issuer: text({
      expected: 'an issuer like https://id.example.com/',
      description: '`iss` of the answer, exactly. Without it `iss` is not checked.',
      example: 'https://id.example.com/',
    }).optional(),
    ...asking(),
  },
).optional();

const callout = section(
  'Asks a backend of yours about each token that is not known yet, by a NATS request; see [callouts.md](callouts.md). When it does not answer, clients are asked to come back, never let in.',
  {
    subject: subject({
      required: 'the subject on which the backend is asked, like auth.token',
      description: 'The subject on which the backend answers.',
      example: 'auth.token',
    }),
    ...asking(),
  },
).optional();

const answers = section(
  'What is remembered of the answers, each for the same token, address and channel. By default nothing: who comes back is asked about again.',
  {
    size: count({
      min: 1,
      max: 10_000_000,
      description: 'Answers of all backends together; over it the oldest give way.',
    }).prefault(20_000),
    allowTtl: duration({
      min: '1s',
      max: '1h',
      zero: 'not at all',
      description:
        'How long a yes holds. Set it to spare the backend where many come back often; whoever loses access may still open streams for so long.',
    }).prefault('0s'),
    denyTtl: duration({
      min: '1s',
      max: '1h',
      zero: 'not at all',
      description:
        'How long a no holds. Set it where clients that were refused ask again and again; whoever is given access may have to wait so long.',
    }).prefault('0s'),
  },
).prefault({});

const access = section(
  'How the backends are asked that routes name under `access: { callout: … }`; see [callouts.md](callouts.md). When one does not answer, clients are asked to come back, never let in.',
  { ...asking(), cache: answers },
).prefault({});

const cache = section('What is remembered of tokens that were checked, by their hash.', {
  size: count({
    min: 1,
    max: 10_000_000,
    description:
      'Tokens, and 4 KiB of claims for each on average; as many bad ones besides. Raise it to the number of users who may reconnect at once.',
  }).prefault(20_000),
  maxTtl: duration({
    min: '1s',
    max: '1d',
    zero: 'not at all',
    description:
      'How long the answer of introspection or callout holds for new streams, at most until the token expires. Shorten it to have tokens that were withdrawn there noticed sooner. A stream that is open stays. A JWT is known until it expires.',
  }).prefault('60s'),
  badTtl: duration({
    min: '1s',
    max: '1h',
    zero: 'not at all',
    description: 'How long a bad token is refused without being checked again.',
  }).prefault('10s'),
}).prefault({});

/** What the config has under `auth:`. */
export const auth = section(
  'How clients say who they are. Needed as soon as a route has another `access` than `public`; then one of `jwt`, `introspection` and `callout` at least.',
  {
    token: list(tokenPlace, {
      description:
        "Where a request may bring its token, in this order: `bearer` (`Authorization: Bearer`), `cookie:NAME`, `query:NAME`. A browser's EventSource cannot send the first. What stands in a query is written into the logs of proxies on the way: use it with [one-time tickets](security.md#one-time-tickets), or short-lived tokens at least.",
    }).prefault(['bearer']),
    jwt: issuers,
    introspection,
    callout,
    access,
    cache,
    failureRate: rate({
      min: '1/h',
      max: '1000000/s',
      description:
        'Bad tokens that one client address may bring; above it, tokens that are not known are refused unchecked. Those known to be bad, expired or revoked do not count. Raise it where many users share an address.',
    }).prefault('30/m'),
  },
).prefault({});

/** The bounds of any service that is asked. */
function asking() {
  return {
    timeout: duration({
      min: '100ms',
      max: '1m',
      description: 'How long an answer may take.',
    }).prefault('2s'),
    concurrency: count({
      min: 1,
      max: 10_000,
      description: 'Questions under way at a time; four times as many wait, the rest is asked to come back.',
    }).prefault(64),
  };
}
