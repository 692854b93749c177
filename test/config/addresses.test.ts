import { describe, expect, it } from 'vitest';
import {
  clashes,
  parseHostPort,
  parseNatsServer,
  parseNetwork,
  parseOrigin,
} from '../../src/config/addresses.ts';
import { Misread } from '../../src/config/misread.ts';

const listen = (input: unknown) => parseHostPort(input, '127.0.0.1');

describe('an address to listen on', () => {
  it('may be an IPv4 or IPv6 address or a host name with a port', () => {
    expect(listen('0.0.0.0:8080')).toEqual({ host: '0.0.0.0', port: 8080 });
    expect(listen('[::]:8080')).toEqual({ host: '::', port: 8080 });
    expect(listen('[fd00::1]:0')).toEqual({ host: 'fd00::1', port: 0 });
    expect(listen('my-host.example.com:65535')).toEqual({ host: 'my-host.example.com', port: 65_535 });
  });

  it('may be a port alone, at the default address, or behind a colon, on every IPv4 interface', () => {
    expect(listen(9090)).toEqual({ host: '127.0.0.1', port: 9090 });
    expect(listen('9090')).toEqual({ host: '127.0.0.1', port: 9090 });
    expect(listen(':9090')).toEqual({ host: '0.0.0.0', port: 9090 });
  });

  it.each([
    '',
    'localhost',
    '65536',
    '1.2.3.4:',
    '::1:80',
    '[::1]',
    '[1.2.3.4]:80',
    '999.1.1.1:80',
    'a b:80',
    '-a:80',
    'http://a:80',
    1.5,
    -1,
    true,
    null,
  ])('is not %j', (input) => expect(listen(input)).toBeInstanceOf(Misread));

  it('clashes with another on the same port where one covers the other', () => {
    const at = (host: string, port = 80) => ({ host, port });
    expect(clashes(at('127.0.0.1'), at('127.0.0.1'))).toBe(true);
    expect(clashes(at('0.0.0.0'), at('127.0.0.1'))).toBe(true);
    expect(clashes(at('127.0.0.1'), at('::'))).toBe(true);
    expect(clashes(at('127.0.0.1'), at('127.0.0.2'))).toBe(false);
    expect(clashes(at('127.0.0.1'), at('127.0.0.1', 81))).toBe(false);
    expect(clashes(at('127.0.0.1', 0), at('127.0.0.1', 0))).toBe(false);
  });
});

describe('a trusted proxy', () => {
  it.each([
    '10.0.0.0/8',
    '192.168.1.1',
    '0.0.0.0/0',
    'fd00::/8',
    '::1',
    '::ffff:10.0.0.1',
    '10.0.0.1/32',
    '::/128',
  ])('may be %s', (input) => expect(parseNetwork(input)).toBe(input));

  it.each([
    '',
    '10.0.0/8',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0.0/-1',
    '10.0.0.0/0x8',
    'localhost',
    'fe80::1%eth0',
    10,
    ['::1'],
  ])('is not %j', (input) => expect(parseNetwork(input)).toBeInstanceOf(Misread));
});

describe('an origin', () => {
  it.each([
    'https://app.example.com',
    'http://localhost:3000',
    'https://[::1]:8443',
    'capacitor://localhost',
    '*',
  ])('may be %s', (input) => expect(parseOrigin(input)).toBe(input));

  it.each([
    ['https://app.example.com/', 'https://app.example.com'],
    ['https://app.example.com:443', 'https://app.example.com'],
    ['http://a.example:80', 'http://a.example'],
    ['https://App.Example.com', 'https://app.example.com'],
    ['https://a.example/path?x#y', 'https://a.example'],
    ['https://user:secret@a.example', 'https://a.example'],
  ])('is not %s: browsers never send that, but %s', (input, sent) => {
    expect(parseOrigin(input)).toEqual(new Misread(`browsers send it as ${sent}`));
  });

  it.each([
    '',
    'null',
    'app.example.com',
    'https://*.example.com',
    'https://',
    'file:///x',
    '//a.example',
    'https://a b',
    5,
  ])('is not %j', (input) => expect(parseOrigin(input)).toBeInstanceOf(Misread));
});

describe('a NATS server', () => {
  it.each([
    ['nats://127.0.0.1:4222', 'nats://127.0.0.1:4222'],
    ['tls://nats.example.com:4443', 'tls://nats.example.com:4443'],
    ['nats://nats', 'nats://nats:4222'],
    ['nats://[::1]:4222/', 'nats://[::1]:4222'],
  ])('may be %s', (input, server) => expect(parseNatsServer(input)).toBe(server));

  it.each([
    '',
    'nats://',
    'nats://:4222',
    'nats://a:99999',
    'nats://a/path',
    'nats://a?x=1',
    'http://a:4222',
    'ws://a',
    'nats://a,nats://b',
    5,
  ])('is not %j', (input) => expect(parseNatsServer(input)).toBeInstanceOf(Misread));

  it('is not an address alone, nor one with credentials, and the fix says so without repeating them', () => {
    expect(parseNatsServer('nats.example.com:4222')).toEqual(
      new Misread('write nats://nats.example.com:4222'),
    );
    expect(parseNatsServer('nats://me:hunter2@nats:4222')).toEqual(
      new Misread('credentials do not belong in the URL: put them under nats.auth'),
    );
  });
});
