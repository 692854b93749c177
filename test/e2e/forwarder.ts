import { connect, createServer, type Server, type Socket } from 'node:net';
import { pipeline } from 'node:stream';
import { onTestFinished } from 'vitest';

/** One address in front of several bridges, as a Service of Kubernetes is: passes bytes on and knows nothing of them. */
export class Forwarder {
  /** The port on this machine that new connections are passed on to. */
  target: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(target: number) {
    this.target = target;
    this.#server = createServer((socket) => this.#pass(socket));
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve);
    });
  }

  /** Resets every connection, as a network that goes away does. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  close(): void {
    this.#server.close();
    this.cut();
  }

  #pass(socket: Socket): void {
    const upstream = connect(this.target, '127.0.0.1');
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    // Whichever side ends or breaks, the other is destroyed; how it came to that is the test's own doing.
    const destroy = () => {
      socket.destroy();
      upstream.destroy();
    };
    pipeline(socket, upstream, destroy);
    pipeline(upstream, socket, destroy);
  }
}

/** A forwarder that is gone when the test is over. */
export async function startForwarder(target: number): Promise<Forwarder> {
  const forwarder = new Forwarder(target);
  onTestFinished(() => forwarder.close());
  await forwarder.listen();
  return forwarder;
}
