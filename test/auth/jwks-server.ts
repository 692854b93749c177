import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { JWK } from 'jose';
import { expect, onTestFinished } from 'vitest';
import type { JwtIssuerOptions } from '../../src/auth/issuer.ts';
import type { JwksOptions } from '../../src/auth/jwks.ts';
import type { Certificate } from '../support/certificate.ts';
import { JWKS, type Signer, startVerifier, token } from './tokens.ts';

/** An issuer's web server. Gone when the test is over. */
export class JwksServer {
  /** Every request's path, in order. */
  readonly requests: string[] = [];
  respond: RequestListener = (_, response) => void response.writeHead(404).end();
  readonly #server: Server;
  readonly #scheme: string;

  constructor(certificate?: Certificate) {
    const listener: RequestListener = (request, response) => {
      this.requests.push(request.url ?? '');
      // The client is free to leave in the middle of an answer.
      response.on('error', () => {});
      this.respond(request, response);
    };
    this.#scheme = certificate === undefined ? 'http' : 'https';
    this.#server =
      certificate === undefined
        ? createServer(listener)
        : createTlsServer(
            { cert: readFileSync(certificate.certFile), key: readFileSync(certificate.keyFile) },
            listener,
          );
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the key server does not listen');
    return `${this.#scheme}://127.0.0.1:${address.port}/keys`;
  }

  /** Publishes these keys from now on. */
  publish(...keys: readonly (JWK | Record<string, unknown>)[]): void {
    this.answer(JSON.stringify({ keys }));
  }

  answer(body: string, status = 200, headers: Readonly<Record<string, string>> = {}): void {
    this.respond = (_, response) => void response.writeHead(status, headers).end(body);
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export async function startJwksServer(certificate?: Certificate): Promise<JwksServer> {
  const server = new JwksServer(certificate);
  await server.listen();
  onTestFinished(() => server.close());
  return server;
}

export interface TrustOptions extends Partial<JwtIssuerOptions> {
  readonly times?: Partial<JwksOptions>;
}

/** A verifier of the tokens of whoever publishes keys on `server`. */
export function startTrusting(server: JwksServer, { times, ...options }: TrustOptions = {}) {
  return startVerifier({ jwksUrl: server.url, jwks: { ...JWKS, ...times }, ...options });
}

/** The same, with a server that publishes `keys` and has been asked for them. */
export async function startKnowing(by: Signer, options: TrustOptions = {}) {
  const server = await startJwksServer();
  server.publish(by.jwk);
  const started = await startTrusting(server, options);
  expect(await started.verdict(await token(by))).toBe('42');
  expect(server.requests).toHaveLength(1);
  return { server, ...started };
}
