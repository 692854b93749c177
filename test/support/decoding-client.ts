import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { onTestFinished } from 'vitest';
import { EventStreamParser, type ReceivedEvent } from './event-stream.ts';
import { guard } from './guard.ts';
import { poll } from './poll.ts';

/** Whether a program is on the PATH and says its version. */
export function isThere(program: string, versionArg = '--version'): boolean {
  return spawnSync(program, [versionArg], { stdio: 'ignore' }).status === 0;
}

/** Media types of a stream. */
export type StreamType = 'text/event-stream' | 'application/x-ndjson';

/** NDJSON as the same events. */
class LineParser {
  readonly events: ReceivedEvent[] = [];
  readonly comments: string[] = [];
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  #rest = '';

  push(bytes: Uint8Array): void {
    const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line === '') this.comments.push(line);
      else this.events.push({ event: 'message', data: '', id: '', ...JSON.parse(line) });
    }
  }
}

/** A client in a process of its own: it writes what it decoded to its output as it decodes it, and ends with 0 where all was well. */
export class DecodingClient {
  readonly #parser: EventStreamParser | LineParser;
  readonly #child: ChildProcess;
  #failure: unknown;
  #complaint = '';

  constructor(program: string, args: readonly string[], type: StreamType) {
    this.#parser = type === 'text/event-stream' ? new EventStreamParser() : new LineParser();
    this.#child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    guard(this.#child);
    this.#child.on('error', (error) => {
      this.#failure = error;
    });
    this.#child.stdout?.on('data', (bytes: Buffer) => {
      try {
        this.#parser.push(bytes);
      } catch (error) {
        this.#failure = error;
      }
    });
    this.#child.stderr?.on('data', (text: Buffer) => {
      this.#complaint += text;
    });
    onTestFinished(() => {
      this.#child.kill('SIGKILL');
    });
  }

  /** Waits for the `count`th event of a type and gives it. */
  async event(type: string, count = 1): Promise<ReceivedEvent> {
    return this.#wait(
      `event ${count} of ${type}`,
      () => this.#parser.events.filter(({ event }) => event === type)[count - 1],
    );
  }

  /** Waits until it has had so many heartbeats. */
  async heartbeats(count: number): Promise<void> {
    await this.#wait(`${count} heartbeats`, () => this.#parser.comments.length >= count);
  }

  /** Waits for the client to end, and gives its exit code and what it complained of. */
  async ended(): Promise<{ readonly code: number | null; readonly complaint: string }> {
    await poll('the client to end', () => this.#hasEnded);
    return { code: this.#child.exitCode, complaint: this.#complaint };
  }

  async #wait<T>(what: string, ask: () => T | undefined | false): Promise<T> {
    return poll(what, () => {
      if (this.#failure !== undefined) throw this.#failure;
      const found = ask();
      if ((found === undefined || found === false) && this.#hasEnded)
        throw new Error(`the client ended: ${this.#complaint}`);
      return found;
    });
  }

  get #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }
}
