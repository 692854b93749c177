// Sidestream as it ships, with a publisher of its own process.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { PROBED, probed, profiled } from './probed.mjs';
import { childrenOf, freePort, listening, startNode, threadsMicros } from './processes.mjs';
import { authConfig } from './tokens.mjs';

export const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/**
 * @typedef {object} Variant
 * @property {string} [name] keeps two of them apart, in files and subjects
 * @property {{ publicKey: string, privateKey: string }} [keys] its channels are for those who bring a token
 * @property {string} [history] of its core channels, in YAML; the default without it
 * @property {string} [historyBytes] of all channels together
 * @property {string} [policy] of the channel that all share, in YAML
 * @property {string} [heartbeat] none without it
 * @property {number} [workers]
 * @property {readonly string[]} [routes] more of them, a line of YAML each
 * @property {string} [compression] content codings
 */

/**
 * @param {import('./servers.mjs').Surroundings} surroundings
 * @param {Variant} [variant]
 * @returns {Promise<import('./servers.mjs').Server>}
 */
export async function startSidestream({ folder, natsUrl, main, nodeArgs, profiles }, variant = {}) {
  const { name = 'bench', keys, policy, workers = 1 } = variant;
  const port = await freePort();
  const opsPort = await freePort();
  const [config, publicKeyFile] = [join(folder, `${name}.yaml`), join(folder, `${name}.pem`)];
  if (keys) writeFileSync(publicKeyFile, keys.publicKey);
  const auth = keys ? authConfig(publicKeyFile) : '';
  writeFileSync(config, sidestreamConfig({ ...variant, port, opsPort, natsUrl, name, auth }));
  const [server, publisher] = [
    startNode(main, { args: ['serve', '--config', config], nodeArgs: [...PROBED, ...nodeArgs] }),
    startNode('publish-nats.mjs', { args: [natsUrl, name] }),
  ];
  await Promise.all([listening(port, server), listening(opsPort, server), publisher.ready]);
  const ops = (path) => fetch(`http://127.0.0.1:${opsPort}${path}`);
  // Before it has reached NATS it would refuse streams.
  while (!(await ops('/readyz')).ok) await delay(20);
  const metric = async (wanted) => {
    const lines = (await (await ops('/metrics')).text()).split('\n');
    return Number(lines.find((line) => line.startsWith(`${wanted} `))?.slice(wanted.length));
  };
  // The primary process tells of itself only.
  const pids = workers === 1 ? [] : [server.pid, ...childrenOf(server.pid)];
  const isProfiled = profiles !== undefined && workers === 1;
  return {
    ...probed(server),
    ...(workers > 1 && { cpuMicros: async () => pids.reduce((sum, pid) => sum + threadsMicros(pid), 0) }),
    ...(isProfiled && profiled(server)),
    metric,
    connections: () => metric('sidestream_connections'),
    ...(keys && { privateKey: keys.privateKey }),
    port,
    paths: PATHS,
    publish: publisher.ask,
    stop: async () => {
      if (isProfiled) profiles.push({ name: policy || name, profile: await server.ask('profile') });
      await Promise.all([server.stop(), publisher.stop()]);
    },
  };
}

const PATHS = {
  shared: '/events/all',
  own: '/events/own.{n}',
  token: '/events/all',
  history: '/events/all',
  'history-own': '/events/own.{n}',
  ndjson: '/events/all',
  gzip: '/events/all',
  workers: '/events/all',
  'workers-own': '/events/own.{n}',
  silent: '/events/silent',
};

/** Limits out of the way and no heartbeats: the window holds the events and nothing else. */
const sidestreamConfig = ({
  port,
  opsPort,
  natsUrl,
  name,
  auth,
  history = '',
  historyBytes = '64MiB',
  policy = '',
  heartbeat = '0s',
  compression = '',
  workers = 1,
  routes = [],
}) => {
  const access = auth ? 'authenticated' : 'public';
  const common = `access: ${access}, history: { ${history} }`;
  return `\
http: { listen: 127.0.0.1:${port} }
ops: { listen: 127.0.0.1:${opsPort}, readyNeedsNats: true }
nats: { servers: ['${natsUrl}'] }
sse: { heartbeat: ${heartbeat}${compression && `, compression: [${compression}]`} }
${workers > 1 ? `workers: ${workers}` : ''}
limits: { connections: 20000, connectRate: 100000/s, history: ${historyBytes} }
${auth}
channels:
  all: { channel: all, subject: ${name}.all, ${common}${policy && `, ${policy}`} }
  own: { channel: 'own.{n}', subject: '${name}.own.{n}', ${common} }
  silent: { channel: silent, subject: ${name}.silent, ${common} }
${routes.map((route) => `  ${route}\n`).join('')}log: { level: warn }
`;
};
