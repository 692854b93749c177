import { parseNatsServer } from './addresses.ts';
import { ANY_TEXT, list, section, value } from './keys.ts';
import { duration, file, text } from './kinds.ts';

/** Matches whatever is not clearly a server without credentials. */
const NO_PLAIN_SERVER = '^(?!([a-z]+://)?([A-Za-z0-9.-]*|\\[[0-9A-Fa-f:.]*\\])(:[0-9]*)?/?$)';

/** What the config has under `nats:`. */
export const nats = section('The NATS servers and how to log in to them.', {
  servers: list(
    value(
      {
        form: 'text',
        type: 'URL',
        json: { type: 'string', pattern: '^(nats|tls)://[^@/]+/?$' },
        expected:
          'a server URL like nats://127.0.0.1:4222 or tls://nats.example.com:4222, without credentials (they go under nats.auth)',
        read: parseNatsServer,
      },
      {
        description: 'One server; `tls://` insists on TLS. Credentials go under `nats.auth`.',
        secret: NO_PLAIN_SERVER,
      },
    ),
    {
      description:
        'Servers of one cluster, tried in turn; others of the cluster are learnt from them. `tls://` insists on TLS. No credentials in the URL: they go under `nats.auth`.',
    },
  ).prefault(['nats://127.0.0.1:4222']),
  name: text({
    expected: 'a name of up to 128 printable characters',
    pattern: '^[^\\u0000-\\u001f\\u007f]{1,128}$',
    description: `The connection's name in the server's monitoring. Change it to tell several apart, for example \`sidestream-\${HOSTNAME}\`.`,
  }).prefault('sidestream'),
  auth: section('At most one way to log in: credsFile, nkeySeedFile, a token, or user and password.', {
    credsFile: file({
      description: 'A `.creds` file (JWT and NKey seed), as `nsc` writes it.',
      example: 'nats/sidestream.creds',
    }).optional(),
    nkeySeedFile: file({
      description: 'A file with an NKey seed.',
      example: 'nats/sidestream.nk',
    }).optional(),
    token: text({
      expected: 'a token',
      description: `The token, best as \`\${NATS_TOKEN}\`.`,
      example: `\${NATS_TOKEN}`,
      secret: ANY_TEXT,
    }).optional(),
    tokenFile: file({
      content: 'secret',
      description: 'A file with the token, instead of `token`; white space around it is cut off.',
      example: '/run/secrets/nats-token',
    }).optional(),
    // Hidden too: where a line break is lost, the password stands behind it.
    user: text({
      expected: 'a user name',
      description: 'The user name.',
      example: 'sidestream',
      secret: ANY_TEXT,
    }).optional(),
    password: text({
      expected: 'a password',
      description: `The user's password, best as \`\${NATS_PASSWORD}\`.`,
      example: `\${NATS_PASSWORD}`,
      secret: ANY_TEXT,
    }).optional(),
    passwordFile: file({
      content: 'secret',
      description: 'A file with the password, instead of `password`; white space around it is cut off.',
      example: '/run/secrets/nats-password',
    }).optional(),
  }).prefault({}),
  tls: section("Files for TLS towards NATS, where the system's own certificate authorities do not do.", {
    caFile: file({
      description: "PEM certificate of the authority that signed the servers' certificates.",
      example: 'nats/ca.crt',
    }).optional(),
    certFile: file({
      description: 'PEM client certificate, where the servers ask for one; needs `keyFile`.',
      example: 'nats/client.crt',
    }).optional(),
    keyFile: file({
      description: 'PEM private key of that certificate.',
      example: 'nats/client.key',
    }).optional(),
  }).prefault({}),
  pingInterval: duration({
    min: '1s',
    max: '1h',
    description:
      'How often the connection is tested; two missed answers and it is dialled anew. Shorten it to notice a dead network sooner.',
  }).prefault('15s'),
}).prefault({});
