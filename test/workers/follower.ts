import type { StreamClient } from '../support/stream-client.ts';
import type { RunningWorkers } from './running.ts';

/** A client that reads a channel, comes back with its cursor whenever its stream ends, and keeps what it was given. */
export class Follower {
  readonly received: string[] = [];
  /** What it was told of channels as it came back. */
  readonly verdicts: string[] = [];
  /** How its streams ended, or why they were refused. */
  readonly ends: string[] = [];
  readonly #workers: RunningWorkers;
  readonly #target: string;
  #lastEventId: string | undefined;
  #client: StreamClient | undefined;
  #isStopped = false;
  #running: Promise<void> | undefined;

  constructor(workers: RunningWorkers, target: string) {
    this.#workers = workers;
    this.#target = target;
  }

  /** Resolves when its first stream is open. */
  async start(): Promise<void> {
    await this.#open();
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#client?.destroy();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        await this.#read();
      } catch (error) {
        // Cut off, or reset before there was an answer: EventSource comes back as well.
        if (!this.#isStopped) this.ends.push(String(error).slice(0, 40));
      }
      if (!this.#isStopped) await this.#open().catch(() => undefined);
    }
  }

  async #open(): Promise<void> {
    this.#client = undefined;
    const cursor = this.#lastEventId;
    const headers = cursor === undefined ? {} : { 'Last-Event-ID': cursor };
    this.#client = await this.#workers.request(this.#target, { headers });
    const { event, data } = await this.#client.next();
    if (event === 'sidestream.close') this.ends.push(JSON.parse(data).code);
    if (event !== 'sidestream.open') return;
    this.verdicts.push(JSON.parse(data).channels[0].resume);
    this.#lastEventId = this.#client.lastEventId;
  }

  async #read(): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    for (;;) {
      const { event, data, id } = await client.next();
      this.#lastEventId = id;
      if (event === 'message') this.received.push(data);
      if (event === 'sidestream.gap') this.received.push('gap');
      if (event !== 'sidestream.close') continue;
      this.ends.push(JSON.parse(data).reason);
      return client.ended();
    }
  }
}
