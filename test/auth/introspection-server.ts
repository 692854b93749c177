import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';

/** One question as it came over the wire. */
export interface Asked {
  readonly path: string;
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Answers one question; the response may also be kept and answered later, or never. */
export type Answer = (res: ServerResponse, asked: Asked) => void;

/** An authorisation server over real HTTP on a free port. */
export class IntrospectionServer {
  readonly asked: Asked[] = [];
  /** TCP connections that were ever made. */
  connections = 0;
  /** Responses that are neither ended nor broken off. */
  open = 0;
  /** Most of them at any time. */
  mostOpen = 0;
  readonly #server: Server;

  constructor(answer: Answer) {
    this.#server = createServer(async (req, res) => {
      this.open += 1;
      this.mostOpen = Math.max(this.mostOpen, this.open);
      res.once('close', () => {
        this.open -= 1;
      });
      const { url: path = '', method = '', headers } = req;
      const asked = { path, method, headers, body: await text(req) };
      this.asked.push(asked);
      answer(res, asked);
    });
    this.#server.on('connection', () => {
      this.connections += 1;
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/introspect`;
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** Starts one that is gone when the test is over. */
export async function startIntrospection(answer: Answer): Promise<IntrospectionServer> {
  const server = new IntrospectionServer(answer);
  await server.start();
  onTestFinished(() => server.stop());
  return server;
}

export function answerJson(res: ServerResponse, body: unknown, status = 200): void {
  res.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}
