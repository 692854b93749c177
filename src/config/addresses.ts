import { isIP, isIPv4, isIPv6 } from 'node:net';
import { Misread } from './misread.ts';

export interface HostPort {
  /** An address or a host name; an IPv6 address without its brackets. */
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
}

/** RFC 1123 2.1: labels of letters, digits and inner hyphens. */
const HOST_NAME =
  /^(?!.*\.\d+$)(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;
const DEFAULT_NATS_PORT = 4222;

/**
 * `127.0.0.1:8080`, `localhost:8080`, `[::]:8080`, `:8080` (every IPv4 interface) or `8080` (at `defaultHost`).
 * Go's habit for `:8080` is what operators of NATS know; a bare port widens nothing.
 */
export function parseHostPort(input: unknown, defaultHost: string): HostPort | Misread {
  if (typeof input !== 'string' && typeof input !== 'number') return new Misread();
  const [, before, digits] = /^(?:(.*):)?(\d+)$/.exec(String(input)) ?? [];
  if (digits === undefined) return new Misread('a port is missing: write it as address:port');
  const port = Number(digits);
  if (port > 65_535) return new Misread('a port is at most 65535');
  if (before === undefined) return { host: defaultHost, port };
  if (before === '') return { host: '0.0.0.0', port };
  const host = parseHost(before);
  if (host !== undefined) return { host, port };
  return new Misread(
    isIPv6(before) ? `write an IPv6 address in brackets: "[${before}]:${digits}"` : undefined,
  );
}

/** One address or a network in CIDR form, IPv4 or IPv6; comes back as it was written. */
export function parseNetwork(input: unknown): string | Misread {
  if (typeof input !== 'string') return new Misread();
  const [address = '', prefix, ...rest] = input.split('/');
  const version = address.includes('%') ? 0 : isIP(address);
  if (version === 0 || rest.length > 0) return new Misread();
  if (prefix === undefined) return input;
  const bits = version === 4 ? 32 : 128;
  if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > bits) {
    return new Misread(`the part behind the slash is 0 to ${bits}`);
  }
  return input;
}

/**
 * An origin exactly as browsers send it in `Origin` (RFC 6454 6.2), or `*`. Compared byte by byte later, so what no
 * browser would send — upper case, a default port, a path — is refused here, where it can still be said.
 */
export function parseOrigin(input: unknown): string | Misread {
  if (typeof input !== 'string') return new Misread();
  if (input === '*') return input;
  const [, scheme, host] = /^([a-z][a-z0-9+.-]*):\/\/([^/?#@\s*]+)$/.exec(input) ?? [];
  if (scheme !== undefined && host !== undefined && !/^https?$/.test(scheme)) return input;
  const url = URL.canParse(input) ? new URL(input) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname.includes('*')) {
    return new Misread(input.includes('*') ? 'wildcards are not matched: list each origin' : undefined);
  }
  return url.origin === input ? input : new Misread(`browsers send it as ${url.origin}`);
}

/** `nats://host:4222` or `tls://host:4222`; the port may be left out. Comes back with it. */
export function parseNatsServer(input: unknown): string | Misread {
  if (typeof input !== 'string') return new Misread();
  if (input.includes('@'))
    return new Misread('credentials do not belong in the URL: put them under nats.auth');
  const [, scheme, host = '', port] =
    /^([a-z]+:\/\/)?(\[[^\]]*\]|[^:/]*)(?::(\d{1,5}))?\/?$/.exec(input) ?? [];
  if (parseHost(host) === undefined || Number(port ?? 0) > 65_535) return new Misread();
  if (scheme === undefined) return new Misread(`write nats://${input}`);
  if (scheme !== 'nats://' && scheme !== 'tls://') return new Misread('the scheme is nats:// or tls://');
  return `${scheme}${host}:${port ?? DEFAULT_NATS_PORT}`;
}

/**
 * `https://host/path`, or `http://` on this very machine: over plain HTTP anybody on the way could read the tokens that are
 * asked about, or put in keys of their own.
 */
export function parseServiceUrl(input: unknown): string | Misread {
  const url = typeof input === 'string' && URL.canParse(input) ? new URL(input) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) return new Misread();
  if (url.username !== '' || url.password !== '') return new Misread('credentials do not belong in the URL');
  const isLocal = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol === 'http:' && !isLocal)
    return new Misread('plain http:// is taken only for localhost, 127.0.0.1 and [::1]');
  return url.href;
}

/** Where one listener's address covers the other's, on the same port. Port 0 never clashes. */
export function clashes(a: HostPort, b: HostPort): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  return a.host === b.host || isWildcard(a.host) || isWildcard(b.host);
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

function parseHost(text: string): string | undefined {
  if (text.startsWith('[') && text.endsWith(']')) {
    const address = text.slice(1, -1);
    return isIPv6(address) ? address : undefined;
  }
  return isIPv4(text) || HOST_NAME.test(text) ? text : undefined;
}
