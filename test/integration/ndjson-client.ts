import { onTestFinished } from 'vitest';
import type { TestBridge } from '../support/bridge.ts';
import { poll } from '../support/poll.ts';

export interface NdjsonObject {
  readonly id?: string;
  readonly event?: string;
  readonly data?: string;
  readonly retry?: number;
}

/** Reads a stream as NDJSON, a line at a time, with the platform's own client. */
export class NdjsonClient {
  readonly response: Response;
  readonly objects: NdjsonObject[] = [];
  emptyLines = 0;
  /** Whether it came to a good end, between two lines. */
  hasEnded = false;
  readonly #controller: AbortController;
  #rest = '';
  #failure: unknown;

  private constructor(response: Response, controller: AbortController) {
    this.response = response;
    this.#controller = controller;
  }

  /** The stream is gone when the test is over. */
  static async open(
    bridge: TestBridge,
    target: string,
    { cursor = '', accept = 'application/x-ndjson' } = {},
  ): Promise<NdjsonClient> {
    const controller = new AbortController();
    onTestFinished(() => controller.abort());
    const response = await fetch(`http://127.0.0.1:${bridge.httpPort}${target}`, {
      headers: { Accept: accept, ...(cursor !== '' && { 'Last-Event-ID': cursor }) },
      signal: controller.signal,
    });
    const client = new NdjsonClient(response, controller);
    void client.#read();
    return client;
  }

  /** What was published, without Sidestream's own events. */
  get published(): readonly NdjsonObject[] {
    return this.objects.filter(
      ({ event = '', data }) => data !== undefined && !event.startsWith('sidestream.'),
    );
  }

  /** Waits until `check` holds. @throws where the stream breaks before */
  async saw(what: string, check: (client: this) => boolean): Promise<void> {
    await poll(what, () => {
      if (this.#failure !== undefined) throw this.#failure;
      return check(this);
    });
  }

  close(): void {
    this.#controller.abort();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder('utf-8', { fatal: true });
    try {
      for await (const bytes of this.response.body ?? []) this.#take(decoder.decode(bytes, { stream: true }));
      if (this.#rest !== '') throw new Error(`ended in the middle of a line: ${this.#rest.slice(0, 200)}`);
      this.hasEnded = true;
    } catch (error) {
      if (!this.#controller.signal.aborted) this.#failure = error;
    }
  }

  #take(text: string): void {
    const [first = '', ...others] = text.split('\n');
    this.#rest += first;
    for (const other of others) {
      if (this.#rest === '') this.emptyLines += 1;
      else this.objects.push(JSON.parse(this.#rest));
      this.#rest = other;
    }
  }
}
