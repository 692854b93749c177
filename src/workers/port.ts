import { createServer, type Server } from 'node:net';
import type { HostPort } from '../config/schema.ts';
import { messageOf } from '../errors.ts';
import { listenFailed } from '../http/listen.ts';

/** A port that the workers of one primary process have for themselves. */
export interface HeldPort {
  readonly address: HostPort;
  release(): Promise<void>;
}

/**
 * Makes sure that nobody else listens on an address that workers are about to share, and gives it; for port 0 a free one.
 * The kernel lets any process of the same user share such a port. So it is taken for a moment without sharing, which
 * fails where anybody has it; and since two primary processes may do so one after the other, before the workers of either
 * listen, a name that the kernel gives only once is held for as long as this process lives.
 * @throws SidestreamError LISTEN_FAILED
 */
export async function holdPort({ host, port }: HostPort): Promise<HeldPort> {
  try {
    const free = await listening({ host, port, exclusive: true });
    const address = { host, port: portOf(free) ?? port };
    const name = await lock(address).finally(() => closed(free));
    return { address, release: async () => name && closed(name) };
  } catch (error) {
    throw listenFailed({ host, port }, messageOf(error));
  }
}

/** A socket in Linux's abstract name space: of no file system, and gone with its process, however that ends. unix(7) */
async function lock({ host, port }: HostPort): Promise<Server | undefined> {
  if (process.platform !== 'linux') return undefined;
  const name = await listening({ path: `\0sidestream-workers-${host}-${port}` }).catch((cause: unknown) => {
    throw new Error('another Sidestream with workers is about to take it', { cause });
  });
  name.unref();
  return name;
}

async function listening(options: Parameters<Server['listen']>[0]): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, resolve);
  });
  return server;
}

async function closed(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
}

function portOf(server: Server): number | undefined {
  const address = server.address();
  return typeof address === 'object' ? address?.port : undefined;
}
