import { readFileSync } from 'node:fs';
import { createSecureServer } from 'node:http2';
import { expect, it, onTestFinished } from 'vitest';
import { connectSession, exchange, type Head } from '../../src/doctor/exchange.ts';
import { selfSigned } from '../support/certificate.ts';
import { listen } from './stand-in.ts';

it('an IPv6 address stands in brackets over HTTP/2 too: proxies answer 400 otherwise', async () => {
  const certificate = selfSigned();
  const server = createSecureServer({ cert: certificate.cert, key: readFileSync(certificate.keyFile) });
  server.on('stream', (stream, headers) => {
    stream.respond({ ':status': 200, authority: headers[':authority'] });
    stream.end();
  });
  onTestFinished(() => void server.close());
  const port = await listen(server);
  const trust = { insecure: false, ca: certificate.cert };
  // By the session, so that it takes no IPv6 on this machine.
  const session = connectSession(new URL(`https://127.0.0.1:${port}`), trust);
  onTestFinished(() => session.destroy());
  const url = new URL(`https://[::1]:${port}/events/a`);
  const head = await new Promise<Head>((resolve, reject) => {
    exchange(
      { url, protocol: 'h2', trust, headers: {}, session },
      { head: resolve, end: ({ code = '' }) => reject(new Error(code)) },
    );
  });
  expect(head).toMatchObject({ status: 200, headers: { authority: `[::1]:${port}` } });
});

it('many exchanges on one session warn of nothing on the terminal', async () => {
  const warnings: Error[] = [];
  const note = (warning: Error) => void warnings.push(warning);
  process.on('warning', note);
  onTestFinished(() => void process.off('warning', note));
  const url = new URL('https://127.0.0.1:1/events');
  const session = connectSession(url, { insecure: true });
  const listener = { head: () => undefined, end: () => undefined };
  for (let i = 0; i < 100; i += 1)
    exchange({ url, protocol: 'h2', trust: { insecure: true }, headers: {}, session }, listener);
  await new Promise((resolve) => session.once('close', resolve));
  expect(warnings).toEqual([]);
});
