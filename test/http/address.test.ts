import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ClientAddress, limitKey, peerAddress } from '../../src/http/address.ts';

const CLIENT = '203.0.113.7';
const PROXY = '10.0.0.1';
const trustedProxies = ['10.0.0.0/8', '192.0.2.1', 'fd00::/8'];
const byXForwardedFor = new ClientAddress({ trustedProxies, forwardedHeader: 'x-forwarded-for' });
const byForwarded = new ClientAddress({ trustedProxies, forwardedHeader: 'forwarded' });

describe('the address of a client', () => {
  it('is the peer, whatever the header says, where the peer is not a trusted proxy', () => {
    const header = fc.oneof(fc.string(), fc.ipV4(), fc.ipV6(), fc.constantFrom(PROXY, `${PROXY}, ${PROXY}`));
    fc.assert(
      fc.property(header, (header) => {
        expect(byXForwardedFor.of(CLIENT, header)).toBe(CLIENT);
        expect(byForwarded.of(CLIENT, `for=${header}`)).toBe(CLIENT);
      }),
    );
  });

  it.each([
    ['one proxy', PROXY, CLIENT, CLIENT],
    ['two trusted proxies', PROXY, `${CLIENT}, 10.9.9.9`, CLIENT],
    ['a proxy given by its address', '192.0.2.1', CLIENT, CLIENT],
    ['a proxy on IPv6', 'fd00::1', CLIENT, CLIENT],
    ['what the client itself put before', PROXY, `127.0.0.1, ${CLIENT}`, CLIENT],
    ['a proxy that is not trusted', PROXY, `${CLIENT}, 198.51.100.1`, '198.51.100.1'],
    ['a client in the trusted range', PROXY, '10.1.1.1', '10.1.1.1'],
    ['no header', PROXY, '', PROXY],
    ['rubbish', PROXY, `${CLIENT}, not-an-address`, PROXY],
    ['rubbish before a trusted proxy', PROXY, 'not-an-address, 10.2.2.2', '10.2.2.2'],
    ['a port', PROXY, `${CLIENT}:4711`, CLIENT],
    ['IPv6 with a port', PROXY, '[2001:db8::1]:4711', '2001:db8::1'],
    ['IPv4 mapped into IPv6', PROXY, `::ffff:${CLIENT}`, CLIENT],
    ['white space', PROXY, `\t ${CLIENT} `, CLIENT],
  ])('is told by X-Forwarded-For: %s', (_, peer, header, address) => {
    expect(byXForwardedFor.of(peer, header)).toBe(address);
  });

  it.each([
    ['one element', `for=${CLIENT}`, CLIENT],
    ['several parameters', `by=10.0.0.1;For="${CLIENT}";proto=https`, CLIENT],
    ['several elements', `for=${CLIENT}, for=10.9.9.9;by=10.0.0.1`, CLIENT],
    ['IPv6, quoted, with a port', 'for="[2001:db8::1]:4711"', '2001:db8::1'],
    ['an obfuscated hop', 'for=_hidden', PROXY],
    ['an unknown hop', `for=${CLIENT}, for=unknown`, PROXY],
    ['an element without "for"', `for=${CLIENT}, by=10.0.0.1`, PROXY],
  ])('is told by Forwarded: %s', (_, header, address) => {
    expect(byForwarded.of(PROXY, header)).toBe(address);
  });

  it('cannot be forged by anything that a client sends ahead of what the first trusted proxy adds', () => {
    const forged = fc.oneof(
      fc.string(),
      fc
        .array(fc.constantFrom('127.0.0.1', ',', '"', ';', 'for=', '[', ']', '::1', '%', ':80', ' '), {
          maxLength: 10,
        })
        .map((pieces) => pieces.join('')),
    );
    fc.assert(
      fc.property(forged, (text) => {
        expect(byXForwardedFor.of(PROXY, `${text}, ${CLIENT}`)).toBe(CLIENT);
        expect(byForwarded.of(PROXY, `${text}, for=${CLIENT}`)).toBe(CLIENT);
        // Even where everything is trusted, what comes out is an address.
        expect(isIP(byXForwardedFor.of(PROXY, text))).toBeGreaterThan(0);
        expect(isIP(byForwarded.of(PROXY, text))).toBeGreaterThan(0);
      }),
      { numRuns: 500 },
    );
  });

  it('needs no header where no proxy is trusted', () => {
    const { behindProxies } = new ClientAddress({ trustedProxies: [], forwardedHeader: 'forwarded' });
    expect([behindProxies, byForwarded.behindProxies, byForwarded.header]).toEqual([
      false,
      true,
      'forwarded',
    ]);
  });
});

describe('what a limit per address counts by', () => {
  it('is an IPv4 address as it stands', () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        expect(limitKey(address)).toBe(address);
      }),
    );
  });

  it('is the /64 network of an IPv6 address, however the address is written', () => {
    const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
    const spelling = fc.record({
      zeros: fc.boolean(),
      upper: fc.boolean(),
      shorten: fc.boolean(),
      dotted: fc.boolean(),
      zone: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), spelling, (groups, spelling) => {
        const address = spell(groups, spelling);
        fc.pre(isIP(address) === 6);
        expect(limitKey(address), address).toBe(
          `${groups
            .slice(0, 4)
            .map((n) => n.toString(16))
            .join(':')}::/64`,
        );
      }),
      { numRuns: 1000 },
    );
  });
});

interface Spelling {
  readonly zeros: boolean;
  readonly upper: boolean;
  readonly shorten: boolean;
  readonly dotted: boolean;
  readonly zone: boolean;
}

/** One of the ways to write an IPv6 address. RFC 4291 2.2, RFC 4007 11. */
function spell(groups: readonly number[], { zeros, upper, shorten, dotted, zone }: Spelling): string {
  const [g6 = 0, g7 = 0] = groups.slice(6);
  const tail = dotted ? [[g6 >> 8, g6 & 255, g7 >> 8, g7 & 255].join('.')] : [hex(g6, zeros), hex(g7, zeros)];
  let text = [...groups.slice(0, 6).map((group) => hex(group, zeros)), ...tail].join(':');
  if (shorten) text = text.replace(/(^|:)0+(:0+)+(:|$)/, '::');
  return (upper ? text.toUpperCase() : text) + (zone ? '%eth0' : '');
}

function hex(group: number, zeros: boolean): string {
  return group.toString(16).padStart(zeros ? 4 : 1, '0');
}

describe('the address of a peer', () => {
  const bytes = (...values: number[]) => Uint8Array.from(values).buffer;

  it.each([
    ['IPv4', bytes(203, 0, 113, 7), CLIENT],
    ['IPv4 mapped into IPv6', bytes(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 203, 0, 113, 7), CLIENT],
    ['IPv6', bytes(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), '2001:db8:0:0:0:0:0:1'],
    ['nothing, as of a closed socket', bytes(), ''],
  ])('is read from its bytes: %s', (_, buffer, address) => {
    expect(peerAddress(buffer)).toBe(address);
  });
});
