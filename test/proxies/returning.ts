import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { poll } from '../support/poll.ts';
import { type Answer, ask } from './client.ts';
import type { RunningProxy } from './proxy.ts';

/** No test waits for the seconds that a browser is asked to wait. */
const LONGEST_WAIT_MS = 300;
const LOOKING_MS = 5;

/** A native EventSource as the standard has it: comes back by itself with its cursor, except after an answer that is not 200. */
export class Returning {
  /** What each event that is not the bridge's own said, in order of arrival. */
  readonly seen: string[] = [];
  /** Reasons of `sidestream.close`. */
  readonly closes: string[] = [];
  /** Verdicts on each return. */
  readonly verdicts: string[] = [];
  /** The status that was final, if one was. */
  finalStatus: number | undefined;
  opens = 0;
  cuts = 0;
  readonly #proxy: RunningProxy;
  readonly #target: string;
  #cursor = '';
  #left = false;

  constructor(proxy: RunningProxy, target: string) {
    this.#proxy = proxy;
    this.#target = target;
  }

  async run(): Promise<void> {
    let retryMs = LONGEST_WAIT_MS;
    while (!this.#left && this.finalStatus === undefined) {
      const headers = this.#cursor === '' ? {} : { 'Last-Event-ID': this.#cursor };
      const answer = await ask(this.#proxy, this.#target, { headers }).catch(() => undefined);
      if (answer !== undefined && answer.status !== 200) this.finalStatus = answer.status;
      else if (answer !== undefined) await this.#read(answer);
      retryMs = Math.min(answer?.retryMs ?? retryMs, LONGEST_WAIT_MS);
      await sleep(retryMs);
    }
  }

  leave(): void {
    this.#left = true;
  }

  /** Waits until it has seen so many events. */
  async has(count: number): Promise<void> {
    await poll(
      `${count} events, not ${this.seen.length}; final ${this.finalStatus}`,
      () => this.seen.length >= count,
    );
  }

  async #read(answer: Answer): Promise<void> {
    this.opens += 1;
    while (!this.#left) {
      const event = answer.nextOrEnd();
      if (event === 'end') break;
      if (event === undefined) {
        await sleep(LOOKING_MS);
        continue;
      }
      this.#note(event.event, event.data);
      this.#cursor = event.id || this.#cursor;
    }
    if (answer.ending === 'cut') this.cuts += 1;
    answer.leave();
  }

  #note(event: string, data: string): void {
    if (event === 'sidestream.close') this.closes.push(JSON.parse(data).reason);
    else if (event === 'sidestream.open') this.verdicts.push(JSON.parse(data).channels[0]?.resume);
    else if (!event.startsWith('sidestream.')) this.seen.push(data);
  }
}

/** One that comes back until the test is over. */
export function startReturning(proxy: RunningProxy, target: string): Returning {
  const client = new Returning(proxy, target);
  const running = client.run();
  onTestFinished(async () => {
    client.leave();
    await running;
  });
  return client;
}
