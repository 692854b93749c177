import { createServer } from 'node:net';
import type { HostPort } from '../config/schema.ts';
import { SidestreamError } from '../errors.ts';
import type { LoadedUws, TemplatedApp } from './uws.ts';

/** `LIBUS_LISTEN_EXCLUSIVE_PORT` of uSockets' libusockets.h. */
const EXCLUSIVE_PORT = 1;
/** `LIBUS_LISTEN_DEFAULT`: with SO_REUSEPORT, so that the kernel spreads connections over all who listen. */
const SHARED_PORT = 0;

export interface Listening {
  readonly address: HostPort;
  /** Takes no more connections; those that are open stay. */
  close(): void;
}

/**
 * Starts listening. Alone on a port unless it is shared: otherwise a second process on it would take a part of the
 * connections without a word.
 * @throws SidestreamError LISTEN_FAILED
 */
export async function listen(
  app: TemplatedApp,
  uws: LoadedUws['uws'],
  { host, port }: HostPort,
  { isShared }: { readonly isShared: boolean },
): Promise<Listening> {
  const socket = await new Promise<false | object>((resolve) => {
    listenOn(app, { host, port }, isShared ? SHARED_PORT : EXCLUSIVE_PORT, resolve);
  });
  if (socket === false) throw listenFailed({ host, port }, await listenProblem(host, port));
  let isOpen = true;
  return {
    address: { host, port: uws.us_socket_local_port(socket) },
    close() {
      if (isOpen) uws.us_listen_socket_close(socket);
      isOpen = false;
    },
  };
}

export function listenFailed({ host, port }: HostPort, problem: string): SidestreamError {
  const message = `cannot listen on ${host}:${port} (http.listen): ${problem}`;
  return new SidestreamError('LISTEN_FAILED', message, { fields: { host, port } });
}

/** uWebSockets.js only says that it cannot; Node, asked for the same, says why. */
async function listenProblem(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error) => resolve(error.message));
    probe.listen({ host, port, exclusive: true }, () => {
      probe.close(() => resolve('uWebSockets.js does not take this address'));
    });
  });
}

type Listen = (host: string, port: number, options: number, done: (socket: false | object) => void) => void;

/** The addon takes host and options together; its type declarations do not say so. */
function listenOn(
  app: TemplatedApp,
  { host, port }: HostPort,
  options: number,
  done: (socket: false | object) => void,
): void {
  const listen: Listen = app.listen.bind(app) as never;
  listen(host, port, options, done);
}
