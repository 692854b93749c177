import { once } from 'node:events';
import { beforeAll, describe, expect, it } from 'vitest';
import { selfSigned } from '../support/certificate.ts';
import { temporaryFile } from '../support/folder.ts';
import { poll } from '../support/poll.ts';
import { pour } from './failing-issuers.ts';
import { startJwksServer, startTrusting } from './jwks-server.ts';
import { fetchesOf, JWKS, type Signer, signer, startVerifier, token } from './tokens.ts';

let a: Signer;
beforeAll(async () => {
  a = await signer('RS256', 'a');
});

describe('a fetch', () => {
  it('to a port where nobody listens is a failure', async () => {
    const server = await startJwksServer();
    const { url } = server;
    await server.close();
    const { verdict, verifier } = await startVerifier({ jwksUrl: url });
    expect(await verdict(await token(a))).toBe('unavailable');
    expect(fetchesOf(verifier)[1]).toBe(1);
  });

  it.each([301, 302, 303, 307, 308])('does not follow a redirect (%i)', async (status) => {
    const target = await startJwksServer();
    target.publish(a.jwk);
    const server = await startJwksServer();
    server.answer(JSON.stringify({ keys: [a.jwk] }), status, { location: target.url });
    const { verdict, lines } = await startTrusting(server);
    expect(await verdict(await token(a))).toBe('unavailable');
    expect(lines.join('')).toContain(`answered ${status}; redirects are not followed`);
    expect([server.requests.length, target.requests.length]).toEqual([1, 0]);
  });

  it.each([
    ['reads no further than the bound', 200, `is larger than ${JWKS.maxBytes} bytes`],
    ['reads nothing of an error', 500, 'answered 500'],
  ])('%s, and hangs up', async (_, status, error) => {
    const server = await startJwksServer();
    const closed = new Promise<void>((resolve) => {
      server.respond = (_, response) => {
        void once(response, 'close').then(() => resolve());
        pour(response.writeHead(status));
      };
    });
    const { verdict, lines } = await startTrusting(server);
    expect(await verdict(await token(a))).toBe('unavailable');
    expect(lines.join('')).toContain(error);
    await closed;
  });

  it('takes a set of exactly the bound', async () => {
    const body = JSON.stringify({ keys: [a.jwk] });
    const server = await startJwksServer();
    server.answer(body.padEnd(JWKS.maxBytes));
    expect(await (await startTrusting(server)).verdict(await token(a))).toBe('42');
    server.answer(body.padEnd(JWKS.maxBytes + 1));
    expect(await (await startTrusting(server)).verdict(await token(a))).toBe('unavailable');
  });

  it('hangs up when it takes too long', async () => {
    const server = await startJwksServer();
    const closed = new Promise<void>((resolve) => {
      server.respond = (request) => void request.socket.on('close', () => resolve());
    });
    const { verdict, lines } = await startTrusting(server, { times: { timeoutMs: 50 } });
    expect(await verdict(await token(a))).toBe('unavailable');
    expect(lines.join('')).toContain('took longer than 50 ms');
    await closed;
  });

  it('is given up when the verifier stops, without a complaint, and none comes after it', async () => {
    const server = await startJwksServer();
    const closed = new Promise<void>((resolve) => {
      server.respond = (request) => void request.socket.on('close', () => resolve());
    });
    const { verifier, verdict, clock, lines } = await startTrusting(server);
    await poll('the fetch', () => server.requests.length > 0);
    const waiting = verdict(await token(a));
    verifier.stop();
    await closed;
    expect(await waiting).toBe('unavailable');
    clock.advance(JWKS.maxAgeMs);
    expect(await verdict(await token(a))).toBe('unavailable');
    expect(server.requests).toHaveLength(1);
    expect(fetchesOf(verifier)).toEqual([1, 0]);
    expect(lines).toEqual([]);
  });
});

describe('the URL of a key set', () => {
  it('is https, of a server that the named authority vouches for', async () => {
    const certificate = selfSigned();
    const server = await startJwksServer(certificate);
    server.publish(a.jwk);
    const trusting = await startTrusting(server, { jwksCaFile: certificate.certFile });
    expect(await trusting.verdict(await token(a))).toBe('42');
    for (const options of [
      {},
      { jwksCaFile: selfSigned().certFile },
      { jwksCaFile: temporaryFile('none') },
    ]) {
      const { verdict } = await startTrusting(server, options);
      expect(await verdict(await token(a))).toBe('unavailable');
    }
    expect(server.requests).toHaveLength(1);
  });

  it.each([
    'http://localhost:1/keys',
    'http://127.0.0.1:1/keys',
    'http://127.8.9.1:1/',
    'http://[::1]:1/keys',
  ])('may be plain http on this very machine: %s', async (jwksUrl) => {
    const { verdict } = await startVerifier({ jwksUrl });
    expect(await verdict(await token(a))).toBe('unavailable');
  });

  it.each([
    'http://id.example.com/keys',
    'http://localhost.example.com/keys',
    'http://127.0.0.1.example.com/keys',
    'http://127.0.0.1@id.example.com/keys',
    'http://10.0.0.1/keys',
    'http://0.0.0.0/keys',
    'ftp://127.0.0.1/keys',
    'file:///etc/keys',
    'data:application/json,{"keys":[]}',
    '/keys',
    '',
  ])('cannot be anything else: %j', async (jwksUrl) => {
    await expect(startVerifier({ jwksUrl })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('is logged without what may be secret in it', async () => {
    const server = await startJwksServer();
    const url = server.url.replace('//', '//user:hunter2@');
    const { verdict, lines } = await startVerifier({ jwksUrl: `${url}?key=hunter2` });
    expect(await verdict(await token(a))).toBe('unavailable');
    expect(server.requests).toEqual(['/keys?key=hunter2']);
    expect(lines.join('')).toContain(server.url);
    expect(lines.join('')).not.toContain('hunter2');
  });
});
