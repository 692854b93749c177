import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import type { NatsServer } from '../support/nats-server.ts';

/** One bridge's way to NATS: it can be cut, or long, while the other bridge's is not. */
export class Link {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isCut = false;
  #delayMs = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** A way that is gone when the test is over. */
  static async open(nats: NatsServer): Promise<Link> {
    const server = createServer();
    const link = new Link(server);
    server.on('connection', (near) => link.#pass(near, nats.port));
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    onTestFinished(() => {
      link.cut();
      server.close();
    });
    return link;
  }

  get url(): string {
    const address = this.#server.address();
    if (typeof address !== 'object' || address === null) throw new TypeError('the link is not open');
    return `nats://127.0.0.1:${address.port}`;
  }

  /** Breaks what is connected, and whoever tries until it is mended. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#isCut = false;
  }

  /** What NATS sends arrives so much later from now on, in milliseconds. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  #pass(near: Socket, port: number): void {
    if (this.#isCut) {
      near.destroy();
      return;
    }
    const far = dial(port, '127.0.0.1');
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {
        // ECONNREFUSED, ECONNRESET: one end is gone; `close` comes next.
      });
      socket.on('close', () => {
        this.#sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far);
    let sent = Promise.resolve();
    far.on('data', (bytes) => {
      const dueMs = performance.now() + this.#delayMs;
      // One after the other, also when the way becomes shorter.
      sent = sent.then(async () => {
        const leftMs = dueMs - performance.now();
        if (leftMs > 0) await sleep(leftMs);
        near.write(bytes);
      });
    });
  }
}
