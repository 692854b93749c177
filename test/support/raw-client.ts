import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { PATIENCE_MS } from './poll.ts';

/** A socket on which a test says what it likes, HTTP or not. */
export class RawClient {
  readonly #socket: Socket;
  readonly #watchers = new Set<() => void>();
  #text = '';
  #closed = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.#text += text;
      this.#tell();
    });
    socket.on('error', () => {
      // ECONNRESET, EPIPE: `close` comes next.
    });
    socket.on('close', () => {
      this.#closed = true;
      this.#tell();
    });
  }

  /** Connects; the socket is gone when the test is over. */
  static async connect(port: number): Promise<RawClient> {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    onTestFinished(() => {
      socket.destroy();
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new RawClient(socket);
  }

  /** All that was received, a character a byte. */
  get text(): string {
    return this.#text;
  }

  send(bytes: string | Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Says that nothing more comes, and goes on reading. */
  halfClose(): void {
    this.#socket.end();
  }

  /** Closes as a crashed client's kernel does: with a reset. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Waits for text that matches. */
  async received(pattern: RegExp): Promise<void> {
    await this.#wait(`${pattern}`, () => pattern.test(this.#text));
  }

  /** Waits for the server to close the connection. */
  async closed(): Promise<void> {
    this.#socket.once('end', () => this.#socket.end());
    await this.#wait('the connection to be closed', () => this.#closed);
  }

  #tell(): void {
    for (const watcher of this.#watchers) watcher();
  }

  async #wait(what: string, ask: () => boolean): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        this.#watchers.delete(check);
        settle();
      };
      const inVain = () =>
        finish(() =>
          reject(new Error(`waited for ${what}; received ${JSON.stringify(this.#text.slice(-500))}`)),
        );
      const check = () => {
        if (ask()) finish(resolve);
        else if (this.#closed) inVain();
      };
      const timer = setTimeout(inVain, PATIENCE_MS);
      this.#watchers.add(check);
      check();
    });
  }
}
