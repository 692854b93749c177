import { join } from 'node:path';
import { NGINX_ARGS, NGINX_PLACES } from '../support/nginx.ts';
import type { Address, Places, ProxyKind, Replacement } from './proxy.ts';

const at = ({ host, port }: Address) => `${host}:${port}`;

const bridges = ({ bridges: [first, second] }: Places): Replacement[] => [
  ['sidestream-1:8080', at(first)],
  ['sidestream-2:8080', at(second)],
];

const pems = ({ certFile, keyFile }: Places): Replacement[] => [
  ['/etc/sidestream/tls/cert.pem', certFile],
  ['/etc/sidestream/tls/key.pem', keyFile],
];

export const NGINX: ProxyKind = {
  name: 'nginx',
  variable: 'NGINX_BIN',
  program: 'nginx',
  files: {
    'nginx.conf': (places) => [
      ...bridges(places),
      ...pems(places),
      ['listen 80;', `listen 127.0.0.1:${places.plainPort};`],
      ['listen 443 ', `listen 127.0.0.1:${places.tlsPort} `],
      ['/var/log/nginx/sidestream.log', join(places.folder, 'access.log')],
      ['/var/log/nginx/error.log', join(places.folder, 'access.log')],
      ['\nhttp {', `\nhttp {\n    ${NGINX_PLACES}`],
    ],
  },
  start: ({ folder }) => ({ args: ['-p', folder, '-c', join(folder, 'nginx.conf'), ...NGINX_ARGS] }),
  idle: ['proxy_read_timeout 75s'],
  hurried: [['fail_timeout=5s', 'fail_timeout=1s']],
  head: 'client_header_timeout 10s',
  tellsCuts: true,
  logs: true,
  refusesInBand: true,
};

export const HAPROXY: ProxyKind = {
  name: 'HAProxy',
  variable: 'HAPROXY_BIN',
  program: 'haproxy',
  files: {
    'haproxy.cfg': (places) => [
      ...bridges(places),
      ['/etc/sidestream/tls/both.pem', places.bothFile],
      ['bind :80', `bind 127.0.0.1:${places.plainPort}`],
      ['bind :443', `bind 127.0.0.1:${places.tlsPort}`],
      // Of Debian's package, which is not installed here.
      ['    user haproxy\n    group haproxy\n', ''],
      // As root it raises its limit on open files to what that takes, and does not start where it may not.
      ['maxconn 50000', 'maxconn 1000'],
      ['check port 9090', `check port ${places.opsPort}`],
    ],
  },
  start: ({ folder }) => ({ args: ['-db', '-f', join(folder, 'haproxy.cfg')] }),
  idle: ['timeout server 75s', 'timeout client 75s'],
  hurried: [],
  head: 'timeout http-request 10s',
  tellsCuts: false,
  logs: true,
  refusesInBand: true,
};

export const CADDY: ProxyKind = {
  name: 'Caddy',
  variable: 'CADDY_BIN',
  program: 'caddy',
  files: {
    Caddyfile: (places) => [
      ...bridges(places),
      ...pems(places),
      // Its admin endpoint, port 2019, can be had once on a machine.
      ['\tgrace_period', `\tadmin off\n\thttp_port ${places.plainPort}\n\tgrace_period`],
      ['events.example.com {', `https://localhost:${places.tlsPort} {\n\tbind 127.0.0.1`],
      ['health_port 9090', `health_port ${places.opsPort}`],
    ],
  },
  start: ({ folder }) => ({
    args: ['run', '--config', join(folder, 'Caddyfile'), '--adapter', 'caddyfile'],
    env: { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
  }),
  idle: [],
  hurried: [],
  head: 'read_header 10s',
  tellsCuts: false,
  logs: true,
  refusesInBand: true,
};

export const ENVOY: ProxyKind = {
  name: 'Envoy',
  variable: 'ENVOY_BIN',
  program: 'envoy',
  files: {
    'envoy.yaml': (places) => [
      ...places.bridges.map(
        ({ host, port }, i): Replacement => [
          `{ address: sidestream-${i + 1}, port_value: 8080 }`,
          `{ address: ${host}, port_value: ${port} }`,
        ],
      ),
      ...pems(places),
      ['{ address: 0.0.0.0, port_value: 80 }', `{ address: 127.0.0.1, port_value: ${places.plainPort} }`],
      ['{ address: 0.0.0.0, port_value: 443 }', `{ address: 127.0.0.1, port_value: ${places.tlsPort} }`],
      ['{ port_value: 9090 }', `{ port_value: ${places.opsPort} }`],
    ],
  },
  start: ({ folder }) => ({
    args: [
      '-c',
      join(folder, 'envoy.yaml'),
      '--disable-hot-restart',
      '--concurrency',
      '1',
      '--file-flush-interval-msec',
      '100',
      '-l',
      'warn',
    ],
  }),
  idle: ['stream_idle_timeout: 75s'],
  hurried: [],
  head: 'request_headers_timeout: 10s',
  tellsCuts: true,
  logs: true,
  refusesInBand: true,
};

export const TRAEFIK: ProxyKind = {
  name: 'Traefik',
  variable: 'TRAEFIK_BIN',
  program: 'traefik',
  files: {
    'traefik/traefik.yaml': (places) => [
      ['":80"', `"127.0.0.1:${places.plainPort}"`],
      ['":443"', `"127.0.0.1:${places.tlsPort}"`],
      ['/etc/traefik/sidestream.yaml', join(places.folder, 'sidestream.yaml')],
    ],
    'traefik/sidestream.yaml': (places) => [
      ...bridges(places),
      ...pems(places),
      ['port: 9090', `port: ${places.opsPort}`],
    ],
  },
  start: ({ folder }) => ({ args: [`--configFile=${join(folder, 'traefik.yaml')}`] }),
  idle: [],
  hurried: [],
  head: 'readTimeout: 10s',
  tellsCuts: true,
  logs: false,
  refusesInBand: false,
};

export const PROXIES: readonly ProxyKind[] = [NGINX, HAPROXY, CADDY, ENVOY, TRAEFIK];
