import type { Others } from '../http/others.ts';
import type { Entry, Word } from './messages.ts';

/** Most that is told at once; the rest is told the next time. Bounds a message. */
const MAX_ENTRIES = 5000;
const MAX_KEY_CHARACTERS = 256 * 1024;
/** Clients with bad tokens that are told of at once; more of them are an attack that each worker meets by itself. */
const MAX_FAILURES = 1000;

/** Words after which nothing of those before a change counts any more. */
export const WORDS_TO_SETTLE = 2;

/** What a worker was told of a key: what others held, and itself, when all were asked, and how many let streams in. */
interface Told {
  readonly others: number;
  readonly own: number;
  readonly among: number;
}

/**
 * What one worker knows of the others, for the limits. Between two words of the primary process nobody knows what the others
 * let in, so each takes no more than its share of the room that there was: together they stay within the limit, and at most a
 * stream short of one each above it where the room is not divisible. What goes is the least that the last three words left:
 * while a word is on its way others go by the one before it, and may have let in by the one before that what it does not know.
 */
export class SharedCounts implements Others {
  onFailed: Others['onFailed'];
  readonly #changed: () => void;
  /** Of each key what the last words told, the newest first. */
  readonly #known = new Map<string, readonly [Told, Told, Told]>();
  /** Keys whose last words differ, and how many words more until they do not. */
  readonly #unsettled = new Map<string, number>();
  readonly #untold = new Map<string, number>();
  readonly #failures = new Map<string, number>();
  #nothing: Told = { others: 0, own: 0, among: 1 };
  #hasSaid = false;

  /** `changed` is called when there is something to tell, once until it is taken. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  leaveRoom(key: string, own: number, limit: number): boolean {
    const [now, before, earlier] = this.#of(key);
    if (own + now.others >= limit) return false;
    return own < Math.min(ceiling(now, limit), ceiling(before, limit), ceiling(earlier, limit));
  }

  tell(key: string, own: number): void {
    this.#untold.set(key, own);
    this.#say();
  }

  failed(client: string): void {
    if (this.#failures.size >= MAX_FAILURES && !this.#failures.has(client)) return;
    this.#failures.set(client, (this.#failures.get(client) ?? 0) + 1);
    this.#say();
  }

  /** What changed since it was last taken, as far as one message may hold. */
  take(): { readonly counts: readonly Entry[]; readonly failures: readonly Entry[] } {
    this.#hasSaid = false;
    const counts: Entry[] = [];
    let characters = 0;
    for (const entry of this.#untold) {
      if (counts.length >= MAX_ENTRIES || characters > MAX_KEY_CHARACTERS) break;
      counts.push(entry);
      characters += entry[0].length;
      this.#untold.delete(entry[0]);
    }
    if (this.#untold.size > 0) this.#say();
    const failures = [...this.#failures];
    this.#failures.clear();
    return { counts, failures };
  }

  hear({ counts, failures, among, isFirst }: Word): void {
    if (isFirst) this.#settle();
    this.#nothing = { others: 0, own: 0, among: Math.max(1, among) };
    for (const [key, others, own] of counts) {
      const [, before, earlier] = this.#of(key);
      this.#known.set(key, [{ ...this.#nothing, others, own }, before, earlier]);
      this.#unsettled.set(key, WORDS_TO_SETTLE);
    }
    for (const [client, times] of failures) this.onFailed?.(client, times);
  }

  /** Keys that are remembered; returns to zero with the streams of all. */
  get size(): number {
    return this.#known.size;
  }

  /** Another word has come. */
  #settle(): void {
    for (const [key, left] of this.#unsettled) {
      const [now, before] = this.#of(key);
      if (left > 1) this.#unsettled.set(key, left - 1);
      else this.#unsettled.delete(key);
      if (left === 1 && now.others === 0 && now.own === 0) this.#known.delete(key);
      else this.#known.set(key, [now, now, before]);
    }
  }

  #of(key: string): readonly [Told, Told, Told] {
    return this.#known.get(key) ?? [this.#nothing, this.#nothing, this.#nothing];
  }

  #say(): void {
    if (this.#hasSaid) return;
    this.#hasSaid = true;
    this.#changed();
  }
}

/** How many streams a worker may have: its own of then, and its share of the room that there was. */
function ceiling({ others, own, among }: Told, limit: number): number {
  return own + Math.ceil((limit - others - own) / among);
}
