// The servers under test. Each is started as a process of its own and comes with whoever publishes to it.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROBED, probed } from './probed.mjs';
import { childrenOf, freePort, listening, procUsage, start, startNode } from './processes.mjs';
import { MAIN, startSidestream } from './sidestream.mjs';
import { tokenKeys } from './tokens.mjs';

/**
 * @typedef {object} Server
 * @property {number} port
 * @property {Record<string, string>} paths of the channel that all share, and of `{n}`'s own
 * @property {(ask: string, fields?: object) => Promise<any>} publish see `publisherRequests`
 * @property {() => Promise<number>} cpuMicros since its start
 * @property {() => Promise<number>} residentBytes after garbage collection
 * @property {() => Promise<void>} [startAllocations] from there on what is taken of the JavaScript heap counts
 * @property {() => Promise<number>} [stopAllocations] bytes of it
 * @property {() => Promise<number>} [heldBytes] of JavaScript memory after garbage collection, on the heap and outside it
 * @property {(name: string) => Promise<number>} [metric] a figure of its own, by name and labels
 * @property {() => Promise<number>} [connections] that it holds
 * @property {string} [accept] what its clients ask for, if not SSE
 * @property {() => Promise<void>} [startProfile] where a profile was asked for
 * @property {() => Promise<void>} [stopProfile]
 * @property {string} [privateKey] of who signs the tokens that it wants; in PEM
 * @property {() => Promise<void>} stop also ends its publisher
 */

/**
 * @typedef {object} Surroundings
 * @property {string} folder
 * @property {string} natsUrl
 * @property {string} main Sidestream's entry
 * @property {readonly string[]} nodeArgs
 * @property {{ name: string, profile: import('./profile.mjs').Profile }[]} [profiles] of each Sidestream that has run, where they are wanted
 */

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

const withTokens = (surroundings) => startSidestream(surroundings, { name: 'token', keys: tokenKeys() });
const withGzip = (surroundings) => startSidestream(surroundings, { name: 'gzip', compression: 'gzip' });
const withoutHistory = (surroundings) => startSidestream(surroundings, { name: 'lean', history: 'size: 0' });

const asNdjson = async (surroundings) => ({
  ...(await startSidestream(surroundings, { name: 'ndjson' })),
  accept: 'application/x-ndjson',
});
const withWorkers = (surroundings) => startSidestream(surroundings, { name: 'workers', workers: 2 });

/**
 * Who is compared where it is not the peers: Sidestream that asks for tokens and Sidestream that does not; that keeps
 * history, as it does by default, and that does not; that is asked for JSON lines; that compresses; that has two workers.
 * @type {Record<string, Record<string, (surroundings: Surroundings) => Promise<Server>>>}
 */
export const VARIANTS = {
  token: { sidestream: withTokens, 'no token': startSidestream },
  history: { sidestream: startSidestream, 'no history': withoutHistory },
  gzip: { sidestream: withGzip, 'no gzip': startSidestream },
  'history-own': { sidestream: startSidestream, 'no history': withoutHistory },
  ndjson: { sidestream: asNdjson, sse: startSidestream },
  workers: { sidestream: withWorkers, 'one process': startSidestream },
  'workers-own': { sidestream: withWorkers, 'one process': startSidestream },
};

/** Debian's and Ubuntu's place for it. */
const NCHAN = '/usr/lib/nginx/modules/ngx_nchan_module.so';

const missing = (file, remedy) => (existsSync(file) ? '' : `no ${file}: ${remedy}`);

/** nats-server on a free port, with JetStream; its URL. `npm run bench` finds it or installs it; else it must be on the PATH. */
export async function startNats(folder) {
  const port = await freePort();
  const args = ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', folder];
  const server = start(process.env.NATS_SERVER_BIN || 'nats-server', args);
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

/** @param {Surroundings} surroundings */
async function startNchan({ folder }) {
  const port = await freePort();
  const config = join(folder, 'nginx.conf');
  writeFileSync(config, nchanConfig({ port, folder }));
  const master = start('nginx', ['-p', folder, '-e', join(folder, 'nginx.log'), '-c', config]);
  await listening(port, master);
  const publisher = startNode('publish-http.mjs', { args: [String(port)] });
  await publisher.ready;
  const usage = procUsage(childrenOf(master.pid)[0]);
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
