import type { Clock } from '../clock.ts';
import { Complaints, type Logger } from '../log.ts';
import { Failed, type Fault } from './answer.ts';
import { Gate } from './gate.ts';

export interface ServiceOptions {
  /** Milliseconds that one question may take. One that had to wait for its turn may take as long again. */
  readonly timeoutMs: number;
  /** Questions under way at the same time. */
  readonly concurrency: number;
}

export interface ServiceDeps {
  readonly clock: Clock;
  readonly log: Logger;
}

/** Questions that may wait, for each one that may be under way. */
const WAITING_PER_PLACE = 4;

/** What is counted about one service. Plain fields, read when metrics are scraped. */
export class ServiceCounts {
  /** Questions sent. Who joined a question that was under way is not counted again. */
  questions = 0;
  readonly faults: Record<Fault, number> = {
    busy: 0,
    timeout: 0,
    unreachable: 0,
    status: 0,
    'too-large': 0,
    malformed: 0,
  };
}

/** One question. What it still has open when `signal` aborts must go. */
export type Question<T> = (signal: AbortSignal) => Promise<T | Failed>;

/** A service outside that is asked about tokens or channels, and that may be slow, down or mad. */
export class Service<T extends object> {
  readonly counts: ServiceCounts;
  readonly #name: string;
  readonly #timeoutMs: number;
  readonly #gate: Gate<T | Failed>;
  readonly #complaints: Complaints;

  /** `name` is for the log. Several may count in one place. */
  constructor(
    name: string,
    { timeoutMs, concurrency }: ServiceOptions,
    deps: ServiceDeps,
    counts = new ServiceCounts(),
  ) {
    this.counts = counts;
    this.#name = name;
    this.#timeoutMs = timeoutMs;
    this.#complaints = new Complaints(deps.log, deps.clock);
    const maxWaiting = WAITING_PER_PLACE * concurrency;
    this.#gate = new Gate({ concurrency, maxWaiting, maxWaitMs: timeoutMs }, deps.clock);
  }

  /** Asks, or joins who is asking with the same key. Never rejects, and resolves whatever the service does. */
  async ask(key: string, question: Question<T>): Promise<T | Failed> {
    const answer = await this.#gate.run(key, () => this.#put(question));
    return answer ?? this.#complain(new Failed('busy', 'too many questions are under way'));
  }

  async #put(question: Question<T>): Promise<T | Failed> {
    this.counts.questions += 1;
    const answer = await this.#inTime(question);
    return answer instanceof Failed ? this.#complain(answer) : answer;
  }

  async #inTime(question: Question<T>): Promise<T | Failed> {
    const over = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<Failed>((resolve) => {
      const failed = new Failed('timeout', `no answer within ${this.#timeoutMs} ms`);
      timer = setTimeout(() => resolve(failed), this.#timeoutMs);
    });
    try {
      return await Promise.race([question(over.signal), late]);
    } catch (error) {
      return toFailed(error);
    } finally {
      clearTimeout(timer);
      over.abort();
    }
  }

  #complain(failed: Failed): Failed {
    const { fault, detail } = failed;
    this.counts.faults[fault] += 1;
    const fields = { service: this.#name, fault, detail };
    const text = 'a service that decides who may listen gave no answer; who waits for it is refused';
    this.#complaints.warn(fault, fields, text);
    return failed;
  }
}

/** Only the innermost error's code or name: a message may quote what was sent or received. */
function toFailed(error: unknown): Failed {
  let innermost = error;
  while (innermost instanceof Error && innermost.cause instanceof Error) innermost = innermost.cause;
  if (!(innermost instanceof Error)) return new Failed('unreachable', 'no error');
  const code = 'code' in innermost && typeof innermost.code === 'string' ? innermost.code : innermost.name;
  return new Failed(/time(d)?_?out/i.test(code) ? 'timeout' : 'unreachable', code);
}
