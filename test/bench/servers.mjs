// The servers under test. Each is started as a process of its own and comes with whoever publishes to it.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { childOf, freePort, listening, procUsage, start, startNode } from './processes.mjs';

/**
 * @typedef {object} Server
 * @property {number} port
 * @property {{ shared: string, own: string }} paths of the channel that all share, and of `{n}`'s own
 * @property {(ask: string, fields?: object) => Promise<any>} publish see `publisherRequests`
 * @property {() => Promise<number>} cpuMicros since its start
 * @property {() => Promise<number>} residentBytes after garbage collection
 * @property {() => Promise<void>} stop also ends its publisher
 */

/** @typedef {{ folder: string, natsUrl: string, nodeArgs: readonly string[] }} Surroundings */

/** In the order of the table. `why` says what is missing here, or nothing. */
export const SERVERS = {
  sidestream: { why: () => missing(MAIN, 'run `npm run build` first'), start: startSidestream },
  uws: { why: () => '', start: () => startPeer('peers/uws.mjs') },
  node: { why: () => '', start: () => startPeer('peers/node.mjs') },
  nchan: {
    why: () => missing(NCHAN, 'install nginx and libnginx-mod-nchan to compare with Nchan'),
    start: startNchan,
  },
};

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const PROBE = new URL('probe.mjs', import.meta.url).href;
/** Debian's and Ubuntu's place for it. */
const NCHAN = '/usr/lib/nginx/modules/ngx_nchan_module.so';

const missing = (file, remedy) => (existsSync(file) ? '' : `no ${file}: ${remedy}`);

/** nats-server on a free port; its URL. `npm run bench` finds it or installs it; else it must be on the PATH. */
export async function startNats() {
  const port = await freePort();
  const server = start(process.env.NATS_SERVER_BIN || 'nats-server', ['-a', '127.0.0.1', '-p', String(port)]);
  await listening(port, server);
  return `nats://127.0.0.1:${port}`;
}

async function startPeer(script) {
  const port = await freePort();
  const server = startNode(script, { args: [String(port)], nodeArgs: PROBED });
  await server.ready;
  return {
    ...probed(server),
    port,
    paths: { shared: '/all', own: '/own/{n}' },
    publish: server.ask,
    stop: server.stop,
  };
}

// V8's room for new objects has from the start the size that it grows to under load: where it grew, or shrank again,
// between two readings, 10,000 connections would seem to take 2 KiB more or less each.
const PROBED = ['--expose-gc', '--min-semi-space-size=16', '--import', PROBE];

const probed = (server) => ({
  cpuMicros: () => server.ask('cpuMicros'),
  residentBytes: () => server.ask('residentBytes'),
});

/** @param {Surroundings} surroundings */
async function startSidestream({ folder, natsUrl, nodeArgs }) {
  const port = await freePort();
  const config = join(folder, 'sidestream.yaml');
  const opsPort = await freePort();
  writeFileSync(config, sidestreamConfig({ port, opsPort, natsUrl }));
  const [server, publisher] = [
    startNode(MAIN, { args: ['serve', '--config', config], nodeArgs: [...PROBED, ...nodeArgs] }),
    startNode('publish-nats.mjs', { args: [natsUrl] }),
  ];
  await Promise.all([listening(port, server), listening(opsPort, server), publisher.ready]);
  // Before it has reached NATS it would refuse streams.
  while (!(await fetch(`http://127.0.0.1:${opsPort}/readyz`)).ok) await delay(20);
  return {
    ...probed(server),
    port,
    paths: { shared: '/events/all', own: '/events/own.{n}' },
    publish: publisher.ask,
    stop: () => Promise.all([server.stop(), publisher.stop()]).then(() => {}),
  };
}

/** Limits out of the way and no heartbeats: the window holds the events and nothing else. */
const sidestreamConfig = ({ port, opsPort, natsUrl }) => `\
http: { listen: 127.0.0.1:${port} }
ops: { listen: 127.0.0.1:${opsPort}, readyNeedsNats: true }
nats: { servers: ['${natsUrl}'] }
sse: { heartbeat: 0s }
limits: { connections: 20000, connectRate: 100000/s }
channels:
  all: { channel: all, subject: bench.all, access: public }
  own: { channel: 'own.{n}', subject: 'bench.own.{n}', access: public }
log: { level: warn }
`;

/** @param {Surroundings} surroundings */
async function startNchan({ folder }) {
  const port = await freePort();
  const config = join(folder, 'nginx.conf');
  writeFileSync(config, nchanConfig({ port, folder }));
  const master = start('nginx', ['-p', folder, '-e', join(folder, 'nginx.log'), '-c', config]);
  await listening(port, master);
  const publisher = startNode('publish-http.mjs', { args: [String(port)] });
  await publisher.ready;
  const usage = procUsage(childOf(master.pid));
  return {
    port,
    paths: { shared: '/sub/all', own: '/sub/own/{n}' },
    publish: publisher.ask,
    cpuMicros: async () => usage.cpuMicros(),
    residentBytes: async () => usage.residentBytes(),
    stop: () => Promise.all([master.stop(), publisher.stop()]).then(() => {}),
  };
}

/** One worker, as all the others are one process; events are kept as briefly as Nchan needs to hand them on. */
const nchanConfig = ({ port, folder }) => `\
load_module ${NCHAN};
${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${folder}/nginx.pid;
error_log ${folder}/nginx.log warn;
events { worker_connections 19000; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  nchan_shared_memory_size 512M;
  nchan_subscriber_timeout 0;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location ~ ^/pub/(.+)$ {
      nchan_publisher;
      nchan_channel_id $1;
      nchan_message_buffer_length 100;
      nchan_message_timeout 10s;
    }
    location ~ ^/sub/(.+)$ {
      nchan_subscriber eventsource;
      nchan_channel_id $1;
      nchan_subscriber_first_message newest;
    }
  }
}
`;
