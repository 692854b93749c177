import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ANY_TEXT } from '../../src/config/keys.ts';
import { lookUp, walk } from '../../src/config/outline.ts';
import { at, noHelm, only, render, TAKEN, template, valueSet, valuesFile } from './chart.ts';

const { config } = TAKEN;

/** What Helm says of values that it refuses. */
async function refusal(values: object): Promise<string> {
  const { code, stderr } = await template([valuesFile(values)]);
  expect(code).not.toBe(0);
  return stderr;
}

const accepted = async (values: object) => expect((await template([valuesFile(values)])).stderr).toBe('');

/** `${NAME}`, as a config names a variable. */
const variable = (name: string) => `$\{${name}}`;

const jwt = (key: object) => ({ auth: { jwt: [{ algorithms: ['HS256'], keys: [key] }] } });
const natsAuth = (auth: object) => ({ nats: { ...config.nats, auth } });
const oauth = { url: 'https://id.example.com/introspect', clientId: 'me' };

/** Where the config may hold a secret: a config with one there. */
const SECRETS: Readonly<Record<string, (secret: string) => object>> = {
  'auth.introspection.clientSecret': (clientSecret) => ({
    auth: { introspection: { ...oauth, clientSecret } },
  }),
  'auth.jwt.keys.secret': (secret) => jwt({ secret }),
  'nats.auth.password': (password) => natsAuth({ user: 'me', password }),
  'nats.auth.token': (token) => natsAuth({ token }),
  'ops.token': (token) => ({ ops: { token } }),
};
/** Shown by no message of the program, since somebody may write the secret in their place; meant for no secret. */
const NO_SECRETS = ['auth.jwt.keys.jwk', 'auth.jwt.keys.publicKey', 'nats.auth.user'];

describe.skipIf(noHelm !== undefined)('the chart refuses', () => {
  it('to install what would serve nothing, and says how a route looks', async () => {
    expect(await refusal({})).toContain('config.channels is empty');
    expect(await refusal({ config: { nats: config.nats } })).toContain('channel: prices.{symbol}');
    expect(await refusal({ config: { ...config, channels: {} } })).toContain('/config/channels');
  });

  it('a NATS server that is not there', async () => {
    const { channels } = config;
    expect(await refusal({ config: { channels } })).toContain('config.nats.servers is not set');
    // Keys that were left empty are not given.
    expect(await refusal({ config: { channels, nats: null } })).toContain('config.nats.servers is not set');
    await accepted({ config: { channels, nats: null }, nats: { enabled: true } });
  });

  it('no key that was left empty, where a mapping belongs', async () => {
    const keys = ['commonLabels', 'podLabels', 'podAnnotations', 'secretEnv', 'secretFiles'];
    const empty = Object.fromEntries(keys.map((key) => [key, null]));
    await accepted({ ...TAKEN, ...empty, service: { labels: null }, opsService: { labels: null } });
  });

  it('keys that the config does not know, and values that it does not take', async () => {
    expect(await refusal({ config: { ...config, limit: {} } })).toContain("'limit' not allowed");
    expect(await refusal({ config: { ...config, drain: { timeout: '25 s' } } })).toContain('drain/timeout');
    const annotated = await refusal({ ...TAKEN, podAnnotations: { 'prometheus.io/port': 9090 } });
    expect(annotated).toMatch(/podAnnotations.*want string/);
    expect(await refusal({ ...TAKEN, replica: 3 })).toContain("'replica' not allowed");
    expect(await refusal({ ...TAKEN, mode: 'daemonset' })).toContain('/mode');
    expect(await refusal({ ...TAKEN, secretEnv: { TOKEN: { secret: 'a' } } })).toContain("'key'");
  });

  it('secrets, of which there are no others', () => {
    const hidden = [...walk()]
      .filter(({ key }) => key.doc.secret === ANY_TEXT)
      .map(({ path }) => path.join('.'));
    expect(hidden.sort()).toEqual([...Object.keys(SECRETS), ...NO_SECRETS].sort());
  });

  it.each(Object.entries(SECRETS))(
    'a secret in the values at %s, but not a name for it',
    async (_, section) => {
      const plain = 'a-secret-of-no-importance-0123456789';
      for (const written of [plain, `$\{NAME:-${plain}}`]) {
        const said = await refusal({ config: { ...config, ...section(written) } });
        expect(said).toContain('holds a secret');
        expect(said).not.toContain(plain);
      }
      const secretEnv = { NAME: { secret: 's', key: 'k' } };
      await accepted({ config: { ...config, ...section(variable('NAME')) }, secretEnv });
    },
  );

  it('a secret in a key or in the address of a server', async () => {
    const withKey = (key: object) => ({ config: { ...config, ...jwt(key) } });
    expect(await refusal(withKey({ jwk: { kty: 'oct', k: 'c2VjcmV0' } }))).toContain('jwk.k holds a secret');
    const okp = { kty: 'OKP', crv: 'Ed25519', x: 'x' };
    expect(await refusal(withKey({ jwk: { ...okp, d: 'd' } }))).toContain('jwk.d holds a secret');
    await accepted(withKey({ jwk: okp }));
    const pem = (kind: string) => `-----BEGIN ${kind} KEY-----\nx\n-----END ${kind} KEY-----\n`;
    expect(await refusal(withKey({ publicKey: pem('PRIVATE') }))).toContain('publicKey holds a secret');
    await accepted(withKey({ publicKey: pem('PUBLIC') }));
    const servers = ['nats://me:hunter2@nats:4222'];
    expect(await refusal({ config: { ...config, nats: { servers } } })).toContain('/nats/servers');
  });

  it('a variable that nothing sets, unless somebody may', async () => {
    const named = {
      ...config,
      nats: {
        ...config.nats,
        name: `at-${variable('REGION')}-${variable('ZONE:-a')}-${variable('HOSTNAME')}-$${variable('NOT')}`,
      },
    };
    expect(await refusal({ config: named })).toContain(
      `config uses ${variable('REGION')}, and nothing sets it`,
    );
    await accepted({ config: named, env: [{ name: 'REGION', value: 'eu' }] });
    await accepted({ config: named, envFrom: [{ secretRef: { name: 'all' } }] });
  });

  it('a file of a Secret that nothing mounts, unless somebody may', async () => {
    const named = { ...config, ops: { tokenFile: '/run/secrets/ops/token' } };
    expect(await refusal({ config: named })).toContain('nothing is mounted there');
    await accepted({ config: named, secretFiles: { ops: { secret: 's' } } });
    await accepted({ config: named, extraVolumeMounts: [{ name: 'x', mountPath: '/run/secrets/ops' }] });
  });

  it('ports that nobody outside the pod would reach', async () => {
    for (const listen of ['127.0.0.1:9090', 'localhost:9090', '[::1]:9090'])
      expect(await refusal({ config: { ...config, ops: { listen } } })).toContain('config.ops.listen');
    expect(await refusal({ config: { ...config, http: { listen: '127.0.0.1:8080' } } })).toContain(
      'config.http.listen',
    );
    // A port alone is one of 127.0.0.1 for operators, and of all addresses for browsers.
    const said = await refusal({ config: { ...config, ops: { listen: 9999 } } });
    expect(said).toContain('Write 0.0.0.0:9999');
    await accepted({ config: { ...config, http: { listen: 8181 }, ops: { listen: '[::]:9999' } } });
    const http = { listen: `0.0.0.0:${variable('HTTP_PORT')}` };
    const env = [{ name: 'HTTP_PORT', value: '8080' }];
    expect(await refusal({ config: { ...config, http }, env })).toContain('write the port itself');
  });

  it('one port for browsers and for operators, and port 0, which is any', async () => {
    const listening = (http: string | number, ops: string) => ({
      config: { ...config, http: { listen: http }, ops: { listen: ops } },
    });
    for (const [http, ops] of [
      ['0.0.0.0:9999', '0.0.0.0:9999'],
      [9999, '[::]:9999'],
    ] as const)
      expect(await refusal(listening(http, ops))).toContain(
        'config.http.listen and config.ops.listen have one port, 9999',
      );
    // The other one's default.
    expect(await refusal({ config: { ...config, http: { listen: ':9090' } } })).toContain('one port, 9090');
    for (const [key, listen] of [
      ['http', 0],
      ['http', '0.0.0.0:0'],
      ['ops', ':0'],
    ] as const)
      expect(await refusal({ config: { ...config, [key]: { listen } } })).toContain(
        `config.${key}.listen is ${listen}: port 0`,
      );
    await accepted(listening('0.0.0.0:10000', '0.0.0.0:1000'));
  });

  it.each([
    ['type', 'ClusterIP', 'service.type'],
    ['ports', [], 'service.port and service.nodePort'],
    ['selector', {}, "the bridge's pods"],
  ])('among the further fields of the Service its own: %s', async (field, value, instead) => {
    const said = await refusal({ ...TAKEN, service: { spec: { externalName: 'x', [field]: value } } });
    expect(said).toContain(`service.spec.${field} is the chart's own: `);
    expect(said).toContain(instead);
  });

  it("among the further fields of the pods the chart's own, of which none is forgotten", async () => {
    const file = valueSet('everything');
    const { podSpec } = parse(readFileSync(file, 'utf8')) as { podSpec: object };
    const spec = at(only(await render([file]), 'Deployment').spec, 'template', 'spec') as object;
    const own = Object.keys(spec).filter((field) => !(field in podSpec));
    expect(own).toContain('containers');
    // Another name for serviceAccountName.
    for (const field of [...own, 'serviceAccount'])
      expect(await refusal({ ...TAKEN, podSpec: { dnsPolicy: 'Default', [field]: 'x' } })).toContain(
        `podSpec.${field} is the chart's own: `,
      );
  });

  it('a budget by both of its numbers', async () => {
    const budget = { minAvailable: 0, maxUnavailable: '25%' };
    expect(await refusal({ ...TAKEN, podDisruptionBudget: budget })).toContain('takes one of them');
    expect(await refusal({ ...TAKEN, podDisruptionBudget: { minAvailable: 'half' } })).toContain(
      '/podDisruptionBudget/minAvailable',
    );
  });

  it('a drain of which nobody knows how long it takes, unless told how long a pod has', async () => {
    const values = { config: { ...config, drain: { timeout: variable('DRAIN:-30s') } } };
    expect(await refusal(values)).toContain('config.drain.timeout is');
    await accepted({ ...values, lifecycle: { terminationGracePeriodSeconds: 60 } });
  });

  it('to scale by what cannot be', async () => {
    const scaled = (more: object) => ({ ...TAKEN, autoscaling: { enabled: true, ...more } });
    expect(await refusal(scaled({ connections: 10_000 }))).toContain(
      'must be below config.limits.connections',
    );
    expect(await refusal(scaled({ minReplicas: 5, maxReplicas: 4 }))).toContain('maxReplicas (4) is below');
    expect(await refusal(scaled({ connections: 0, cpu: 0 }))).toContain('nothing to scale by');
    for (const resources of [{ requests: { cpu: null } }, null])
      expect(await refusal({ ...scaled({}), resources })).toContain(
        'resources.requests.cpu, which is not set',
      );
  });

  it('to guess the port of a server that a variable names', async () => {
    const reached = (server: string) => ({
      config: { ...config, nats: { servers: [server] } },
      env: [{ name: 'NATS', value: 'x' }],
      networkPolicy: { enabled: true },
    });
    expect(await refusal(reached(variable('NATS')))).toContain('tells none');
    await accepted(reached(`nats://${variable('NATS')}:4333`));
  });

  it('to guess the port of key sets whose whole address is a variable, unless the way is opened otherwise', async () => {
    const issued = (jwksUrl: string) => ({
      config: { ...config, auth: { jwt: { algorithms: ['RS256'], jwksUrl } } },
      env: [{ name: 'ISSUER', value: 'x' }],
    });
    const networkPolicy = { enabled: true };
    const unknown = issued(variable('ISSUER'));
    expect(await refusal({ ...unknown, networkPolicy })).toContain('tells none');
    const extraEgress = [{ ports: [{ port: 8443 }] }];
    await accepted({ ...unknown, networkPolicy: { ...networkPolicy, extraEgress } });
    await accepted({ ...issued(`https://${variable('ISSUER')}:8443/keys`), networkPolicy });
  });

  it('to guard or scale pods that are not its own', async () => {
    for (const part of ['networkPolicy', 'autoscaling'])
      expect(await refusal({ ...TAKEN, mode: 'sidecar', [part]: { enabled: true } })).toContain(
        `${part}.enabled would do nothing`,
      );
    expect(await refusal({ ...TAKEN, mode: 'sidecar', podSpec: { hostUsers: false } })).toContain(
      'podSpec would do nothing',
    );
  });

  it('a route without a Gateway, and a ServiceMonitor without its Service', async () => {
    expect(await refusal({ ...TAKEN, httpRoute: { enabled: true } })).toContain('httpRoute.parentRefs');
    const monitoring = { serviceMonitor: { enabled: true } };
    expect(await refusal({ ...TAKEN, monitoring, opsService: { enabled: false } })).toContain('podMonitor');
  });
});

describe('the defaults that the templates repeat', () => {
  it('are those of the config', () => {
    expect(lookUp(['drain', 'timeout'])?.default).toBe('25s');
    expect(lookUp(['limits', 'connections'])?.default).toBe(10_000);
    expect(lookUp(['http', 'path'])?.default).toBe('/events');
  });
});
