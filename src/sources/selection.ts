import type { ArchiveRange } from '../hub/source.ts';
import type { GapReason } from '../reasons.ts';
import { operationOf } from './kv.ts';
import { headerOf, isMarker } from './publication.ts';
import type { StoredMessage } from './stream-reader.ts';

export interface SelectionOptions {
  readonly range: ArchiveRange;
  /** Largest payload passed on, in bytes. */
  readonly maxEventBytes: number;
  /** Everything after this offset will be shown to it. */
  readonly after: number;
  /** Whether it is a bucket's, in which a deletion is something to tell. */
  readonly isBucket: boolean;
}

/** The newest of what is shown to it, oldest first, within the limits of a range; and what it is complete of. */
export class Selection {
  /** Whatever there was after this offset, up to the end of the range, is here. */
  after: number;
  /** Why that is less than was asked for. */
  cut: GapReason | undefined;
  /** What there is up to here is over the limit. 0: nothing is. */
  omittedThrough = 0;
  /** The newest offset that was shown, taken or not. */
  newest = 0;
  readonly #options: SelectionOptions;
  readonly #wanted: number;
  /** Empty where a message was taken out again. */
  readonly #messages: (StoredMessage | undefined)[] = [];
  /** Of values, where each subject's stands. */
  readonly #places = new Map<string, number>();
  /** All before this one were taken out. */
  #start = 0;
  #count = 0;
  #bytes = 0;

  constructor(options: SelectionOptions) {
    const { from, limit } = options.range;
    this.#options = options;
    this.after = options.after;
    this.#wanted = from.kind === 'last' ? Math.min(from.count, limit) : limit;
  }

  get messages(): readonly StoredMessage[] {
    return this.#messages.slice(this.#start).filter((message) => message !== undefined);
  }

  /** In ascending order. Whether more may follow that is within the range. */
  show(stored: StoredMessage): boolean {
    const { range, maxEventBytes, isBucket } = this.#options;
    const { offset } = stored.stamp;
    if (offset > range.through) return false;
    this.newest = offset;
    if (!isBucket && isMarker(stored.message)) return true;
    if (range.from.kind === 'values') {
      // Twice only where it changed meanwhile, or the leader had newer ones than the replica that was read.
      this.#takeOut(this.#places.get(stored.message.subject));
      if (operationOf((name) => headerOf(stored.message, name)) === 'delete') {
        // Who joins needs no word of it; who comes back from before does.
        this.after = offset;
        return true;
      }
    }
    if (stored.message.data.length > maxEventBytes) {
      this.missing('too-large', offset);
      return true;
    }
    if (range.from.kind === 'values') this.#places.set(stored.message.subject, this.#messages.length);
    this.#messages.push(stored);
    this.#count += 1;
    this.#bytes += stored.message.data.length;
    while (this.#isOver()) this.#dropOldest();
    return true;
  }

  /** What was up to `through` may be missing. */
  missing(reason: GapReason, through: number): void {
    // Whatever else is missing up to there or further: this much is only left out.
    if (reason === 'too-many') this.omittedThrough = Math.max(this.omittedThrough, through);
    if (through <= this.after) return;
    this.after = Math.min(through, this.#options.range.through);
    this.cut = reason;
  }

  #isOver(): boolean {
    return this.#count > this.#wanted || (this.#count > 1 && this.#bytes > this.#options.range.maxBytes);
  }

  #dropOldest(): void {
    const { from, limit, maxBytes } = this.#options.range;
    const isAsked = from.kind === 'last' && from.count <= limit && this.#bytes <= maxBytes;
    while (this.#messages[this.#start] === undefined && this.#start < this.#messages.length) this.#start += 1;
    const oldest = this.#takeOut(this.#start);
    if (oldest === undefined) return;
    // Who asks for the newest so many is owed no more.
    if (isAsked) this.after = oldest.stamp.offset;
    else this.missing('too-many', oldest.stamp.offset);
  }

  #takeOut(place: number | undefined): StoredMessage | undefined {
    const stored = place === undefined ? undefined : this.#messages[place];
    if (place === undefined || stored === undefined) return undefined;
    this.#messages[place] = undefined;
    this.#count -= 1;
    this.#bytes -= stored.message.data.length;
    return stored;
  }
}
