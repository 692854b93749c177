import { type HostPort, parseHostPort } from './addresses.ts';
import { ANY_TEXT, section } from './keys.ts';
import { file, flag, hostPort, text } from './kinds.ts';
import { Misread } from './misread.ts';

/** The port for operators. */
export interface OpsConfig {
  readonly listen: HostPort;
  readonly readyNeedsNats: boolean;
  /** What a call of the HTTP API must bring. Absent: there is none. */
  readonly token?: string;
}

/** RFC 6750 2.1, what may follow `Bearer`; 16 characters of it are beyond guessing, however fast one asks. */
export const OPS_TOKEN = '^(?=.{16,512}$)[A-Za-z0-9._~+/-]+=*$';
export const OPS_TOKEN_EXPECTED =
  'a token of 16 to 512 characters of A-Z a-z 0-9 . _ ~ + / -, like the output of openssl rand -hex 32';

/** Where it is, unless the config says otherwise: who can reach it may be only on this machine. */
const LOCAL: HostPort = { host: '127.0.0.1', port: 9090 };

/** Where `ops.listen` says it is; without one, or with one of no use, where it is by default. */
export function opsListen(written: unknown): HostPort {
  const read = parseHostPort(written, LOCAL.host);
  return read instanceof Misread ? LOCAL : read;
}

/** What the config has under `ops:`. */
export const ops = section(
  'What operators and Kubernetes reach: `/metrics`, `/livez`, `/readyz`, and with a token `/api/`, the [control plane](control.md).',
  {
    listen: hostPort(LOCAL.host, {
      description:
        'Address and port of metrics and probes, written as `http.listen`. Set it to `:9090` when probes or Prometheus come from outside the pod or machine; it needs a port of its own.',
    }).prefault(`${LOCAL.host}:${LOCAL.port}`),
    readyNeedsNats: flag({
      description:
        'Whether `/readyz` fails while NATS is away, and until what it keeps of revocations was read. Set it to true in a Deployment of its own; keep it false beside a service, where a NATS outage must not take the service out of rotation.',
    }).prefault(false),
    token: text({
      type: 'token, 16 characters or more',
      expected: OPS_TOKEN_EXPECTED,
      pattern: OPS_TOKEN,
      description: `Switches the HTTP API on: what each call brings as \`Authorization: Bearer\`, best as \`\${OPS_TOKEN}\`. Who has it may do whatever the control plane can; it goes over the network as it is, so let nobody but those who call reach the port, or put TLS in front.`,
      example: `\${OPS_TOKEN}`,
      secret: ANY_TEXT,
    }).optional(),
    tokenFile: file({
      content: 'secret',
      description: 'A file with the token, instead of `token`; white space around it is cut off.',
      example: '/run/secrets/ops-token',
    }).optional(),
  },
).prefault({});
