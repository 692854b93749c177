import { ownCopy } from '../routing/own-copy.ts';
import { MAX_HELD_BYTES, type Passing } from './stage.ts';

const UTF8 = new TextEncoder();
/** Keys of which one stage holds something for one channel. */
const MAX_KEYS = 1000;

/** Publications that are held back: of each key the latest, in the order in which they came. */
export class Held {
  /** A key that comes again is put at the end, so offsets ascend. */
  readonly #byKey = new Map<string | undefined, Passing>();
  #bytes = 0;

  get size(): number {
    return this.#byKey.size;
  }

  /** Whether something must go before more is taken. */
  get isFull(): boolean {
    return this.size >= MAX_KEYS || (this.size > 1 && this.#bytes >= MAX_HELD_BYTES);
  }

  get heldAt(): number {
    const [first] = this.#byKey.values();
    return first?.offset ?? Infinity;
  }

  /** Whether it took the place of another. */
  put(passing: Passing): boolean {
    const { key } = passing.publication;
    const older = this.#byKey.get(key);
    if (older !== undefined) this.#remove(older);
    const copy = copyOf(passing);
    this.#byKey.set(key, copy);
    this.#bytes += copy.publication.data.length;
    return older !== undefined;
  }

  takeFirst(): Passing | undefined {
    const [first] = this.#byKey.values();
    if (first !== undefined) this.#remove(first);
    return first;
  }

  takeAll(): Passing[] {
    const all = [...this.#byKey.values()];
    this.#byKey.clear();
    this.#bytes = 0;
    return all;
  }

  #remove({ publication: { key, data } }: Passing): void {
    this.#byKey.delete(key);
    this.#bytes -= data.length;
  }
}

/**
 * The same, whatever becomes of the buffer that its data is a view into, and keeping nothing else alive: text may be put together
 * of views into a payload of which most was redacted.
 */
export function copyOf({ publication, offset }: Passing): Passing {
  // What tells duplicates apart has done so.
  const { id: _, ...rest } = publication;
  const { event, data } = publication;
  // Not a Buffer, which as a rule is part of a larger one.
  const copy = typeof data === 'string' ? UTF8.encode(data) : new Uint8Array(data);
  return { publication: { ...rest, event: event && ownCopy(event), data: copy }, offset };
}
