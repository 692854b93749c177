/** Answers that are awaited from another process. */
export class AnswersTo<A> {
  readonly #waiting = new Map<number, (answer: A | undefined) => void>();
  #last = 0;

  /** Asks, by `send`; `undefined` where no answer comes in time. */
  ask(send: (id: number) => void, timeoutMs: number): Promise<A | undefined> {
    this.#last += 1;
    const id = this.#last;
    return new Promise((resolve) => {
      const settle = (answer: A | undefined) => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        resolve(answer);
      };
      const timer = setTimeout(settle, timeoutMs, undefined);
      this.#waiting.set(id, settle);
      send(id);
    });
  }

  /** One that comes too late is dropped. */
  settle(id: number, answer: A): void {
    this.#waiting.get(id)?.(answer);
  }

  /** No more will come. */
  abandon(): void {
    for (const settle of this.#waiting.values()) settle(undefined);
  }
}
