import { spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { temporaryFolder } from './folder.ts';
import { guard } from './guard.ts';
import { poll } from './poll.ts';

const PLACES = ['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/usr/bin/nginx'];
const binary = process.env.NGINX_BIN ?? PLACES.find((place) => existsSync(place));

/** Why no test behind nginx can run here, or `undefined` where they can. */
export const noNginx: string | undefined = binary === undefined ? 'there is no nginx' : undefined;

if (noNginx !== undefined) console.warn(`The tests behind a proxy were not run: ${noNginx}.`);

/** Starts nginx as a proxy before a port; `directives` stand beside `proxy_pass`. Gives its own port. Its end is the test's. */
export async function startNginx(upstreamPort: number, directives = ''): Promise<number> {
  const folder = temporaryFolder();
  const port = await freePort();
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, configOf(port, upstreamPort, directives));
  const child = spawn(binary ?? 'nginx', ['-p', folder, '-c', file, '-e', 'stderr'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  guard(child);
  let log = '';
  child.stderr.on('data', (text: Buffer) => {
    log += text;
  });
  onTestFinished(async () => {
    if (child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  });
  await poll('nginx to listen', () => {
    if (child.exitCode !== null) throw new Error(`nginx ended:\n${log}`);
    return accepts(port);
  });
  return port;
}

// One process, and all it may write in a folder of its own.
function configOf(port: number, upstreamPort: number, directives: string): string {
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `daemon off; master_process off; pid nginx.pid; error_log stderr warn;
events { worker_connections 256; }
http {
  access_log off;
  ${places.map((place) => `${place}_temp_path ${place};`).join(' ')}
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://127.0.0.1:${upstreamPort};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      ${directives}
    }
  }
}
`;
}

async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

async function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const finish = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => finish(true));
    socket.once('error', () => finish(false));
  });
}
