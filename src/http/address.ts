import { BlockList, isIP, isIPv4 } from 'node:net';
import type { Config } from '../config/schema.ts';

/**
 * Tells the client's address: the peer's, or behind trusted proxies the last one in the forwarding header that is not
 * itself a trusted proxy. A header from anybody else is not believed; neither is what a client put before the
 * address that the first trusted proxy added.
 */
export class ClientAddress {
  readonly #trusted = new BlockList();
  readonly #header: Config['http']['forwardedHeader'];
  /** Whether any proxy is trusted; the header need not be read otherwise. */
  readonly behindProxies: boolean;

  constructor({
    trustedProxies,
    forwardedHeader,
  }: Pick<Config['http'], 'trustedProxies' | 'forwardedHeader'>) {
    this.#header = forwardedHeader;
    this.behindProxies = trustedProxies.length > 0;
    for (const range of trustedProxies) {
      const [address = '', bits] = range.split('/');
      const family = isIPv4(address) ? 'ipv4' : 'ipv6';
      if (bits === undefined) this.#trusted.addAddress(address, family);
      else this.#trusted.addSubnet(address, Number(bits), family);
    }
  }

  /** Name of the request header to hand to {@link of}, in lower case. */
  get header(): string {
    return this.#header;
  }

  of(peer: string, forwarded: string): string {
    // Asking a list costs a native object each time, an empty one as well: a tenth of what a stream costs to accept.
    if (!this.behindProxies || !this.#isTrusted(peer)) return peer;
    const hops = this.#header === 'forwarded' ? forwardedFor(forwarded) : forwarded.split(',');
    let client = peer;
    for (const hop of hops.reverse()) {
      const address = plainAddress(hop);
      // `unknown`, `_hidden` or rubbish: whoever is before it cannot be told.
      if (address === undefined) return client;
      client = address;
      if (!this.#isTrusted(address)) return client;
    }
    return client;
  }

  #isTrusted(address: string): boolean {
    const family = isIP(address);
    return family !== 0 && this.#trusted.check(address, family === 4 ? 'ipv4' : 'ipv6');
  }
}

/**
 * What `limits.connectionsPerIp` counts by: an IPv4 address, or an IPv6 network of 64 bits, since one host is
 * handed all of a /64 (RFC 6177).
 */
export function limitKey(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('%')[0]?.toLowerCase().split('::') ?? [];
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const after = tail === '' ? [] : tail.split(':');
    // A tail like `1.2.3.4` stands for two groups.
    const missing = (after.at(-1)?.includes('.') ? 7 : 8) - after.length;
    while (groups.length < missing) groups.push('0');
    groups.push(...after);
  }
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}

/** uWebSockets.js gives 4 or 16 bytes; IPv4 mapped into IPv6 becomes IPv4 again. */
export function peerAddress(bytes: ArrayBuffer): string {
  const view = new DataView(bytes);
  if (view.byteLength === 4) return [0, 1, 2, 3].map((at) => view.getUint8(at)).join('.');
  if (view.byteLength !== 16) return '';
  const groups = [0, 2, 4, 6, 8, 10, 12, 14].map((at) => view.getUint16(at));
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return [12, 13, 14, 15].map((at) => view.getUint8(at)).join('.');
  }
  return groups.map((group) => group.toString(16)).join(':');
}

/** The `for` parameters of a `Forwarded` header, in order; one without is an unknown hop. RFC 7239 4. */
function forwardedFor(header: string): string[] {
  return header.split(',').map((element) => {
    const pair = element.split(';').find((part) => /^\s*for\s*=/i.test(part));
    return pair?.slice(pair.indexOf('=') + 1) ?? '';
  });
}

/** `192.0.2.1`, `192.0.2.1:4711`, `[2001:db8::1]:4711`, `"[2001:db8::1]"` → the address alone. */
function plainAddress(hop: string): string | undefined {
  const text = hop.trim().replaceAll(/^"|"$/g, '');
  const bare =
    /^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text)?.[1] ?? text;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1] ?? bare;
  return isIP(mapped) === 0 ? undefined : mapped;
}
