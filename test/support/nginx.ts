import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, startChild } from './child.ts';
import { temporaryFolder } from './folder.ts';
import { accepts, freePort } from './ports.ts';

const binary = findProgram('NGINX_BIN', 'nginx');

/** Why no test behind nginx can run here, or `undefined` where they can. */
export const noNginx: string | undefined =
  process.env.SIDESTREAM_NO_NGINX ?? (binary === undefined ? 'there is no nginx' : undefined);

if (noNginx !== undefined) console.warn(`The tests behind nginx were not run: ${noNginx}.`);

/** One process, in the foreground, whatever the file says; all it may write lies in its own folder. */
export const NGINX_ARGS = ['-e', 'stderr', '-g', 'daemon off; master_process off; pid nginx.pid;'];
export const NGINX_PLACES = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  .map((place) => `${place}_temp_path ${place};`)
  .join(' ');

/** Starts nginx as a proxy before a port; `directives` stand beside `proxy_pass`. Gives its own port. Its end is the test's. */
export async function startNginx(upstreamPort: number, directives = ''): Promise<number> {
  const folder = temporaryFolder();
  const port = await freePort();
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, configOf(port, upstreamPort, directives));
  const nginx = startChild(binary ?? 'nginx', { args: ['-p', folder, '-c', file, ...NGINX_ARGS] });
  await nginx.ready('nginx to listen', () => accepts(port));
  return port;
}

function configOf(port: number, upstreamPort: number, directives: string): string {
  return `error_log stderr warn;
events { worker_connections 256; }
http {
  access_log off;
  ${NGINX_PLACES}
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
