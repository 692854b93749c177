import { connect, createServer } from 'node:net';

/** Below where kernels take ports for outgoing connections (Linux: from 32768 on), which would take one before it is listened on. */
const RANGE = { first: 12_000, last: 32_000 };

/** A port that was free a moment ago, on all of the addresses: for programs that cannot be told to take any. */
export async function freePort(...addresses: readonly string[]): Promise<number> {
  const hosts = addresses.length === 0 ? ['127.0.0.1'] : addresses;
  for (;;) {
    const port = RANGE.first + Math.floor(Math.random() * (RANGE.last - RANGE.first));
    const free = await Promise.all(hosts.map((host) => isFree(host, port)));
    if (!free.includes(false)) return port;
  }
}

/** Listens and stops again. */
function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

/** Whether somebody takes connections there. */
export async function accepts(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const finish = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => finish(true));
    socket.once('error', () => finish(false));
  });
}
