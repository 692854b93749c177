// Loopback ports: the one a person would expect where it is free, else any.
import { connect, createServer } from 'node:net';

/** Listens and stops again; the port, or undefined where it is taken. */
function tryListen(port, host) {
  return new Promise((resolve) => {
    const server = createServer();
    server.on('error', () => resolve(undefined));
    server.listen({ port, host, exclusive: true }, () => {
      const { port: taken } = server.address();
      server.close(() => resolve(taken));
    });
  });
}

/**
 * `preferred` where nobody listens on it, on loopback or on all addresses; else, or without one, a free port.
 * @param {number} [preferred]
 * @returns {Promise<number>}
 */
export async function choosePort(preferred) {
  const isFree =
    preferred !== undefined &&
    (await tryListen(preferred, '127.0.0.1')) !== undefined &&
    (await tryListen(preferred, '0.0.0.0')) !== undefined;
  return isFree ? preferred : tryListen(0, '127.0.0.1');
}

/**
 * Whether somebody accepts connections on a loopback port.
 * @param {number} port
 * @returns {Promise<boolean>}
 */
export function isListening(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => resolve(false));
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}
