import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { createServer as createSocketServer, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

type Listener = (request: IncomingMessage, response: ServerResponse) => void;

/** A server that answers as it is told, in place of a bridge and whatever is before it; gives its origin. */
export async function startStandIn(listener: Listener): Promise<string> {
  const server = createServer(listener);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${await listen(server)}`;
}

/** A server that has the bare socket, and so need not keep to HTTP; gives its origin. */
export async function startRaw(onRequest: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createSocketServer((socket) => {
    sockets.add(socket);
    // ECONNRESET, EPIPE: the other side has had enough, which is what it is tested for.
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket));
    socket.once('data', () => onRequest(socket));
  });
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return `http://127.0.0.1:${await listen(server)}`;
}

/** Gives the port. */
export function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}

/** What a middleman does to an answer on its way; each call is one answer. */
export type Meddle = (incoming: IncomingMessage, response: ServerResponse) => void;

/** Passes on what comes, as it comes. */
export const passOn: Meddle = (incoming, response) => {
  response.writeHead(incoming.statusCode ?? 502, incoming.headers);
  incoming.pipe(response);
};

/** A middleman before the bridge at a port, where no real proxy can be had that errs in this way; without a port it says 502. Gives its origin. */
export function startMiddleman(portNow: () => number | undefined, meddle = passOn): Promise<string> {
  return startStandIn((asked, response) => {
    const port = portNow();
    if (port === undefined) {
      response.writeHead(502).end();
      return;
    }
    const { url: path, method, headers } = asked;
    const outgoing = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (incoming) => {
      incoming.on('error', () => undefined);
      meddle(incoming, response);
    });
    outgoing.on('error', () => response.destroy());
    response.once('close', () => outgoing.destroy());
    asked.pipe(outgoing);
  });
}

/** Holds everything back until it has it all, as what looks for viruses does. */
export const holdAll: Meddle = (incoming, response) => {
  const chunks: Buffer[] = [];
  incoming.on('data', (bytes: Buffer) => chunks.push(bytes));
  incoming.once('end', () => {
    response.writeHead(incoming.statusCode ?? 502, incoming.headers);
    response.end(Buffer.concat(chunks));
  });
};

/** Passes bytes on only when so many are there. */
export function holdUntil(bytes: number): Meddle {
  return (incoming, response) => {
    response.writeHead(incoming.statusCode ?? 502, incoming.headers);
    let held = Buffer.alloc(0);
    let isFirst = true;
    incoming.on('data', (more: Buffer) => {
      held = Buffer.concat([held, more]);
      if (!isFirst && held.length < bytes) return;
      isFirst = false;
      response.write(held);
      held = Buffer.alloc(0);
    });
    incoming.once('end', () => response.end(held));
  };
}

/** Cuts the connection off where the bridge says good-bye. */
export const swallowFarewell: Meddle = (incoming, response) => {
  response.writeHead(incoming.statusCode ?? 502, incoming.headers);
  incoming.on('data', (bytes: Buffer) => {
    if (bytes.includes('sidestream.close')) response.destroy();
    else response.write(bytes);
  });
};
