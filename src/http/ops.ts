import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { HostPort } from '../config/schema.ts';
import { SidestreamError } from '../errors.ts';
import { API_PATH, type Api } from './api.ts';

export interface OpsOptions {
  readonly listen: HostPort;
  /** The text of `/metrics` and its media type. */
  metrics(): Promise<{ readonly text: string; readonly contentType: string }>;
  /** Why new streams would be refused, or `undefined` when they are accepted. */
  unready(): string | undefined | Promise<string | undefined>;
  readonly api: Api;
  /** How long nothing may go in or out while an answer is due, in milliseconds. Default: {@link STUCK_MS}. */
  readonly stuckMs?: number;
}

/** How long a request's head, and all of it, may take to come, in milliseconds; and how often that is looked at. */
const TIMES = { headersTimeout: 10_000, requestTimeout: 15_000, connectionsCheckingInterval: 1_000 };
/** Longer than any call takes; who does not read an answer would keep it, and a descriptor, for ever. */
const STUCK_MS = 120_000;
/** Requests of one connection that wait for their answers. Nobody who means well sends many ahead, and a few kilobytes of them are hundreds of `/metrics`. */
const MAX_AHEAD = 16;

/** The port for operators: `/metrics`, `/livez`, `/readyz`, `/api/`. By node:http, so that it answers whatever the streams' side does. */
export class OpsServer {
  readonly #options: OpsOptions;
  readonly #server: Server;
  /** Requests without an answer. */
  readonly #due = new WeakMap<Socket, number>();

  constructor(options: OpsOptions) {
    this.#options = options;
    const answer = (request: IncomingMessage, response: ServerResponse) => {
      if (this.#isTooMany(request.socket, response)) return;
      this.#answer(request, response).catch((error: unknown) => {
        send(response, 500, `${String(error)}\n`);
      });
    };
    // A body that is refused by its head alone is not asked for.
    this.#server = createServer(TIMES, answer).on('checkContinue', answer);
    this.#server.timeout = options.stuckMs ?? STUCK_MS;
  }

  /**
   * Starts listening; gives where.
   * @throws SidestreamError LISTEN_FAILED
   */
  async listen(): Promise<HostPort> {
    const { host, port } = this.#options.listen;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause) => {
        reject(
          new SidestreamError(
            'LISTEN_FAILED',
            `cannot listen on ${host}:${port} (ops.listen): ${cause.message}`,
            { cause, fields: { host, port } },
          ),
        );
      });
      this.#server.listen(port, host, resolve);
    });
    const address = this.#server.address();
    return { host, port: typeof address === 'object' && address !== null ? address.port : port };
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  /** Whether a connection has sent more ahead than is answered; it is ended then. */
  #isTooMany(socket: Socket, response: ServerResponse): boolean {
    const due = (this.#due.get(socket) ?? 0) + 1;
    this.#due.set(socket, due);
    response.once('close', () => this.#due.set(socket, (this.#due.get(socket) ?? 1) - 1));
    if (due > MAX_AHEAD) socket.destroy();
    return due > MAX_AHEAD;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url?.startsWith(API_PATH)) return this.#options.api.answer(request, response);
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      return send(response, 405, 'only GET and HEAD\n');
    }
    switch (request.url?.split('?')[0]) {
      case '/livez':
        return send(response, 200, 'ok\n');
      case '/readyz': {
        const reason = await this.#options.unready();
        return reason === undefined ? send(response, 200, 'ok\n') : send(response, 503, `${reason}\n`);
      }
      case '/metrics': {
        const { text, contentType } = await this.#options.metrics();
        return send(response, 200, text, contentType);
      }
      default:
        return send(response, 404, 'not here; try /metrics, /livez, /readyz or /api/\n');
    }
  }
}

function send(
  response: ServerResponse,
  status: number,
  body: string,
  contentType = 'text/plain; charset=utf-8',
): void {
  response.writeHead(status, { 'Content-Type': contentType, 'Cache-Control': 'no-store' });
  response.end(body);
}
