import type { ChannelSpec } from './topology.ts';

/**
 * What was published on one channel: publication 1, 2, 3 … one after the other, the next not before the last is stored. So at
 * any moment it is known of each which position it has, but for the one on its way.
 */
export class Book {
  readonly spec: ChannelSpec;
  /** Position of each publication that is known to be stored; nothing at index 0. */
  readonly #offsets: number[] = [0];
  readonly #byOffset = new Map<number, number>();
  /** Key of each publication, where there are keys. */
  readonly #keys: string[] = [''];
  readonly #deletions = new Set<number>();
  readonly #doubtful = new Set<number>();
  /** The newest publication of each key. */
  readonly #newest = new Map<string, number>();
  /** Position of the one on its way, as those who have it already say. */
  #claimed: number | undefined;
  #begun = 0;

  constructor(spec: ChannelSpec) {
    this.spec = spec;
  }

  /** The newest publication that may be stored. */
  get begun(): number {
    return this.#begun;
  }

  /** The newest publication that is known to be stored. */
  get stored(): number {
    return this.#offsets.length - 1;
  }

  /** Begins the next publication; gives its number. */
  begin(key = '', isDeletion = false): number {
    this.#begun += 1;
    if (isDeletion) this.#deletions.add(this.#begun);
    this.#keys.push(key);
    this.#newest.set(key, this.#begun);
    this.#claimed = undefined;
    return this.#begun;
  }

  /** It was sent, and nobody knows how far it came. */
  doubt(): void {
    this.#doubtful.add(this.#begun);
  }

  isDoubtful(number: number): boolean {
    return this.#doubtful.has(number);
  }

  /** It is stored there. Gives what is wrong with that, if anything. */
  store(offset: number): string | undefined {
    const number = this.#begun;
    const before = this.#offsets[number - 1] ?? 0;
    this.#offsets.push(offset);
    this.#byOffset.set(offset, number);
    if (this.spec.stream !== undefined && offset <= before)
      return `publication ${number} was stored at ${offset}, not after ${before}`;
    return this.#claimed === undefined || this.#claimed === offset
      ? undefined
      : `publication ${number} was stored at ${offset}, but delivered as ${this.#claimed}`;
  }

  keyOf(number: number): string {
    return this.#keys[number] ?? '';
  }

  /** Whether a newer value of its key may be in its place. */
  isSuperseded(number: number): boolean {
    return (this.#newest.get(this.keyOf(number)) ?? 0) > number;
  }

  isDeletion(number: number): boolean {
    return this.#deletions.has(number);
  }

  offsetOf(number: number): number | undefined {
    return this.#offsets[number];
  }

  /** Which publication is at a position; of one that is not known to be stored, the one on its way. */
  numberAt(offset: number): number | undefined {
    const known = this.#byOffset.get(offset);
    if (known !== undefined) return known;
    return this.stored < this.#begun && offset > (this.#offsets[this.stored] ?? 0) ? this.#begun : undefined;
  }

  /** Somebody was delivered it as being at `offset`. Gives what is wrong with that, if anything. */
  claim(number: number, offset: number): string | undefined {
    if (number < 1 || number > this.#begun) return `publication ${number} was never published`;
    const known = this.#offsets[number] ?? this.#claimed;
    if (known === undefined) this.#claimed = offset;
    return known === undefined || known === offset
      ? undefined
      : `publication ${number} was delivered as ${offset}, but is at ${known}`;
  }
}
