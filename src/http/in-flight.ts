/** Requests that are being answered, all together and by client: both are bounded. */
export class InFlight {
  readonly #max: number;
  readonly #maxPerClient: number;
  readonly #perClient = new Map<string, number>();
  #all = 0;

  constructor(bounds: { readonly all: number; readonly perClient: number }) {
    this.#max = bounds.all;
    this.#maxPerClient = bounds.perClient;
  }

  get size(): number {
    return this.#all;
  }

  /** Clients that have one; returns to zero with the requests. */
  get clients(): number {
    return this.#perClient.size;
  }

  /** Whether there is room; then it is taken, to be given back by {@link leave}, once. */
  enter(client: string): boolean {
    const own = this.#perClient.get(client) ?? 0;
    if (this.#all >= this.#max || own >= this.#maxPerClient) return false;
    this.#all += 1;
    this.#perClient.set(client, own + 1);
    return true;
  }

  leave(client: string): void {
    const own = (this.#perClient.get(client) ?? 1) - 1;
    this.#all -= 1;
    if (own > 0) this.#perClient.set(client, own);
    else this.#perClient.delete(client);
  }
}
