import type { Head } from './exchange.ts';
import { foreign } from './words.ts';

/** What may have to be set on whoever stands between (RFC 9110 3.7). */
export interface Intermediary {
  /** As people call it. */
  readonly name: string;
  /** Where the documentation has its settings. */
  readonly page: string;
  /** Each a sentence, or the part of one that follows "on nginx:". */
  readonly buffering: string;
  readonly compression: string;
  readonly timeout: string;
  readonly http2: string;
  readonly address: string;
}

const ANY: Intermediary = {
  name: 'whatever stands in front',
  page: 'docs/proxies.md#all-proxies',
  buffering: 'switch off the buffering of responses for this path',
  compression: 'take text/event-stream out of what it compresses',
  timeout: 'raise its time-out between two bytes, and the one for a whole response, above sse.heartbeat',
  http2: 'switch HTTP/2 on at the proxy that ends TLS',
  address: 'have it add the client to X-Forwarded-For, and list its address in http.trustedProxies',
};

const NGINX: Intermediary = {
  ...ANY,
  name: 'nginx',
  page: 'docs/proxies.md#nginx',
  buffering: 'set proxy_buffering off, or take X-Accel-Buffering out of proxy_ignore_headers',
  compression: 'take text/event-stream (or *) out of gzip_types',
  timeout: 'set proxy_read_timeout above sse.heartbeat: 75s',
  http2: 'listen 443 ssl http2 (from 1.25.1 on: http2 on)',
  address: 'proxy_set_header X-Forwarded-For $remote_addr, and list its address in http.trustedProxies',
};

const ENVOY: Intermediary = {
  ...ANY,
  name: 'Envoy',
  page: 'docs/proxies.md#envoy',
  buffering: 'take the buffer filter off the route',
  compression: 'take text/event-stream out of content_type of the compressor filter',
  timeout:
    'set the route’s timeout to 0s (it bounds the whole response), and idle_timeout above sse.heartbeat',
  http2: 'alpn_protocols: [h2, http/1.1] in the listener’s TLS context',
  address: 'use_remote_address: true, and list its address in http.trustedProxies',
};

const CADDY: Intermediary = {
  ...ANY,
  name: 'Caddy',
  page: 'docs/proxies.md#caddy',
  buffering:
    'take response_buffers away from reverse_proxy (flush_interval -1 keeps the streams of browsers that left)',
  compression: 'take text/event-stream out of what encode matches',
  timeout: 'raise read_timeout of the transport above sse.heartbeat, or take it away',
};

const APACHE: Intermediary = {
  ...ANY,
  name: 'Apache',
  buffering: 'flushpackets=on on ProxyPass',
  compression: 'SetEnvIf Request_URI ^/events no-gzip',
  timeout: 'raise ProxyTimeout above sse.heartbeat',
  http2: 'Protocols h2 http/1.1, with mod_http2',
};

const CLOUDFLARE: Intermediary = {
  ...ANY,
  name: 'Cloudflare',
  page: 'docs/proxies.md#clouds',
  timeout: 'keep sse.heartbeat below its 100 s; nothing else can be set',
  compression: 'see that Cache-Control: no-transform reaches it',
  http2: 'switch HTTP/2 on for the zone',
};

/** By what an answer says of who passed it on: the header, what is in it, and the proxy. */
const SIGNS: readonly (readonly [header: string, sign: RegExp, proxy: Intermediary])[] = [
  ['cf-ray', /./, CLOUDFLARE],
  ['server', /cloudflare/i, CLOUDFLARE],
  ['x-envoy-upstream-service-time', /./, ENVOY],
  ['server', /envoy/i, ENVOY],
  ['server', /nginx|openresty|tengine/i, NGINX],
  ['server', /caddy/i, CADDY],
  ['via', /caddy/i, CADDY],
  ['server', /apache/i, APACHE],
];

/** Who passed an answer on, by its headers: the nearest that says so. HAProxy and Traefik do not. */
export function proxyOf(head: Head | undefined): Intermediary {
  const headers = head?.headers ?? {};
  return SIGNS.find(([name, sign]) => sign.test(headers[name] ?? ''))?.[2] ?? ANY;
}

/** What the answer says of who passed it on, as it says it; empty where it says nothing. */
export function trail({ headers }: Head): string {
  const said = ['server', 'via'].flatMap((name) => (headers[name] ? [`${name} ${headers[name]}`] : []));
  return foreign(said.join(', '));
}

/** A remedy for one of the proxy's settings: who, what, and where it is explained. */
export function advice(
  proxy: Intermediary,
  what: 'buffering' | 'compression' | 'timeout' | 'http2' | 'address',
): string {
  return `on ${proxy.name}: ${proxy[what]} (${proxy.page})`;
}
