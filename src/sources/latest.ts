/**
 * Answers that were asked for after the asking: one request is under way at most, and whoever asks meanwhile shares the
 * next one, since the answer to the present one may have been given before.
 */
export class Latest<T> {
  readonly #request: () => Promise<T>;
  #current: Promise<T> | undefined;
  #next: Promise<T> | undefined;

  constructor(request: () => Promise<T>) {
    this.#request = request;
  }

  ask(): Promise<T> {
    if (this.#current === undefined) return this.#begin();
    this.#next ??= this.#current.then(
      () => this.#begin(),
      () => this.#begin(),
    );
    return this.#next;
  }

  #begin(): Promise<T> {
    this.#next = undefined;
    const current = this.#request().finally(() => {
      if (this.#current === current) this.#current = undefined;
    });
    this.#current = current;
    return current;
  }
}
