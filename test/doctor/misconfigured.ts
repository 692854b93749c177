import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FileConfig, startBridge, type TestBridge } from '../support/bridge.ts';
import { type Certificate, selfSigned } from '../support/certificate.ts';
import { findProgram, startChild } from '../support/child.ts';
import { temporaryFolder } from '../support/folder.ts';
import { startNats } from '../support/nats-server.ts';
import { NGINX_ARGS, NGINX_PLACES } from '../support/nginx.ts';
import { accepts, freePort } from '../support/ports.ts';
import { OPS_TOKEN } from './examined.ts';

export interface NginxOptions {
  /** Ports of bridges. */
  readonly upstreams: readonly number[];
  /** Directives of the location, beside `proxy_pass`. */
  readonly location?: string;
  /** Of HTTP to the bridges. Default: 1.1. */
  readonly version?: '1.0' | '1.1';
  /** Behind `listen 127.0.0.1:…`: `ssl http2`. */
  readonly listen?: string;
  readonly certificate?: Certificate;
}

/** A real nginx that is set up as it should not be; gives its port. */
export async function startMisconfigured(options: NginxOptions): Promise<number> {
  const folder = temporaryFolder();
  const port = await freePort();
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, configOf(port, options));
  const nginx = startChild(findProgram('NGINX_BIN', 'nginx') ?? 'nginx', {
    args: ['-p', folder, '-c', file, ...NGINX_ARGS],
  });
  await nginx.ready('nginx to listen', () => accepts(port));
  return port;
}

function configOf(port: number, options: NginxOptions): string {
  const { upstreams, location = '', version = '1.1', listen = '', certificate } = options;
  const tls =
    certificate === undefined
      ? ''
      : `ssl_certificate ${certificate.certFile}; ssl_certificate_key ${certificate.keyFile};`;
  return `error_log stderr warn;
events { worker_connections 256; }
http {
  access_log off;
  ${NGINX_PLACES}
  upstream bridges { ${upstreams.map((upstream) => `server 127.0.0.1:${upstream};`).join(' ')} }
  server {
    listen 127.0.0.1:${port} ${listen};
    ${tls}
    location / {
      proxy_pass http://bridges;
      proxy_http_version ${version};
      proxy_set_header Connection "";
      ${location}
    }
  }
}
`;
}

/** A bridge whose control plane may be asked, with a heartbeat that a short test sees. */
export async function startExaminedBridge(config: FileConfig = {}): Promise<TestBridge> {
  return startBridge({
    nats: await startNats(),
    config: {
      ...config,
      sse: { heartbeat: '1s', retry: '100ms..300ms', ...config.sse },
      ops: { token: OPS_TOKEN },
    },
  });
}

/** Such a bridge behind such an nginx; gives the URL of a stream there. */
export async function startPath(
  nginx: Omit<NginxOptions, 'upstreams' | 'certificate'> & { readonly isTls?: boolean } = {},
  config: FileConfig = {},
) {
  const bridge = await startExaminedBridge(config);
  const certificate = nginx.isTls === true ? selfSigned() : undefined;
  const port = await startMisconfigured({
    ...nginx,
    upstreams: [bridge.httpPort],
    ...(certificate !== undefined && { certificate }),
  });
  const origin = `${certificate === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
  return { bridge, url: `${origin}/events/topic.a`, ca: certificate?.cert };
}
