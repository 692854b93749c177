import type { Outcome } from '../control/outcome.ts';
import type { Call } from './messages.ts';
import type { WorkerProcess } from './worker-process.ts';

/** A worker, as far as calls go. */
export type Called = Pick<WorkerProcess, 'state' | 'ask' | 'call'>;

export interface ForwardingOptions {
  /** All that live. */
  readonly workers: ReadonlySet<Called>;
  /** How long a worker may take for a call, in milliseconds: longer than any operation waits for others. */
  readonly timeoutMs: number;
  /** Whether an operation changes nothing, and may be called again. */
  isRead(operation: string): boolean;
}

/** How long a worker may take to say that it is there, in milliseconds. */
const PRESENT_MS = 500;

/**
 * Hands calls of the control plane to a worker: the primary process has no connection to NATS. A worker is asked first whether
 * it is there, so that one that hangs costs a moment; what it was then handed and left unanswered is tried again only where that
 * cannot do a thing twice.
 */
export class Forwarding {
  readonly #options: ForwardingOptions;
  /** Who answered last is asked first. */
  #latest: Called | undefined;

  constructor(options: ForwardingOptions) {
    this.#options = options;
  }

  /** Never rejects. */
  async call(call: Call): Promise<Outcome> {
    for (const worker of this.#inOrder()) {
      if (worker.state !== 'listening' || (await worker.ask('readiness', PRESENT_MS)) === undefined) continue;
      const outcome = await worker.call(call, this.#options.timeoutMs);
      if (outcome !== undefined) {
        this.#latest = worker;
        return outcome;
      }
      if (!this.#options.isRead(call.operation))
        return refusal('CONTROL_FAILED', 'the worker did not answer; whether it was done is not known');
    }
    return refusal('CONTROL_UNAVAILABLE', 'no worker answers');
  }

  #inOrder(): Called[] {
    const { workers } = this.#options;
    const others = [...workers].filter((worker) => worker !== this.#latest);
    return this.#latest !== undefined && workers.has(this.#latest) ? [this.#latest, ...others] : others;
  }
}

function refusal(code: 'CONTROL_FAILED' | 'CONTROL_UNAVAILABLE', message: string): Outcome {
  return { ok: false, error: { code, message } };
}
