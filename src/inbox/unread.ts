import { isRead, type ReadState } from './state.ts';

/** A message that waits, as far as it is counted. */
export interface Waiting {
  readonly offset: number;
  /** In milliseconds since the Unix epoch; absent where it waits for ever. */
  readonly expiresMs?: number | undefined;
}

/** Most that are counted. */
export const MAX_COUNTED = 1000;

/** What is unread of one channel, the newest {@link MAX_COUNTED} of it; and since when there is more. */
export class Unread {
  state: ReadState;
  /** In ascending order. */
  #waiting: Waiting[] = [];
  #uncountedThrough = 0;
  #isShort = false;

  constructor(state: ReadState) {
    this.state = state;
  }

  get count(): number {
    return this.#waiting.length;
  }

  /** Whatever may be unread up to here is not counted; 0 where all is. */
  get uncountedThrough(): number {
    return this.#uncountedThrough;
  }

  /** Whether there may be more, before those that are counted. */
  get hasMore(): boolean {
    return this.#uncountedThrough > this.state.through;
  }

  /** Whether what is counted went while there was more: what was not counted is to take its place. */
  get isShort(): boolean {
    return this.#isShort && this.hasMore;
  }

  get waiting(): readonly Waiting[] {
    return this.#waiting;
  }

  /** The newest offset that is counted; 0 where nothing is. */
  get newest(): number {
    return this.#waiting.at(-1)?.offset ?? 0;
  }

  /** When the first of them ends that does, in milliseconds since the Unix epoch. */
  get endsMs(): number {
    return this.#waiting.reduce((ms, { expiresMs = Infinity }) => Math.min(ms, expiresMs), Infinity);
  }

  /** In ascending order of offset; one that is counted, or read, is not counted again. */
  add(message: Waiting): void {
    if (message.offset <= this.newest || isRead(this.state, message.offset)) return;
    this.#waiting.push(message);
    while (this.#waiting.length > MAX_COUNTED) this.uncounted(this.#waiting.shift()?.offset ?? 0);
  }

  /** What was up to `through` is not counted, and may be unread. */
  uncounted(through: number): void {
    this.#uncountedThrough = Math.max(this.#uncountedThrough, through);
  }

  has(offset: number): boolean {
    return this.#waiting.some((message) => message.offset === offset);
  }

  /** What is read by now; it must cover what was read before. */
  read(state: ReadState): void {
    const { count } = this;
    this.state = state;
    this.#waiting = this.#waiting.filter(({ offset }) => !isRead(state, offset));
    if (this.count < count) this.#isShort = true;
  }

  /** Lets go of what has ended. */
  expire(nowMs: number): void {
    if (this.endsMs > nowMs) return;
    this.#waiting = this.#waiting.filter(({ expiresMs = Infinity }) => expiresMs > nowMs);
    // Not for each of them: where they end one after another, the stream would be read as often.
    if (this.count < MAX_COUNTED / 2) this.#isShort = true;
  }
}
