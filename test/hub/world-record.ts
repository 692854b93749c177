import type { World } from './world.ts';

/** What one client had of one channel, compared with what was published. Throws at the first thing that is wrong. */
export class ChannelRecord {
  readonly #channel: string;
  readonly #world: World;
  /** Everything up to this message was received or said to be missing; absent where a gap was said since. */
  #completeThrough: number | undefined;
  #newest = 0;
  #pastThrough = 0;
  /** What is missing, where nothing was said of it yet: the gap may be the next that comes. */
  #unsaid: string | undefined;

  constructor(channel: string, world: World) {
    this.#channel = channel;
    this.#world = world;
  }

  /**
   * All is owed that came after `serial`, or after the next event where that is not known; but for what had gone before
   * the client was there, at `pastThrough`.
   */
  join(serial: number | undefined, pastThrough: number): void {
    this.#completeThrough = serial;
    this.#pastThrough = pastThrough;
    this.#unsaid = undefined;
  }

  gap(): void {
    this.#completeThrough = undefined;
    this.#unsaid = undefined;
  }

  /** What was received counts for nothing any more. */
  reset(pastThrough: number): void {
    this.join(undefined, pastThrough);
    this.#newest = 0;
  }

  /** The cursor went back: what is after this message may come once more. */
  back(serial: number): void {
    this.#newest = Math.min(this.#newest, serial);
  }

  event(serial: number): void {
    const where = `${this.#channel}: ${serial} after ${this.#newest}`;
    if (serial === this.#newest) throw new Error(`${where}: twice`);
    if (serial < this.#newest) throw new Error(`${where}: out of order, or twice`);
    this.#say();
    this.#owes(serial - 1, where);
    this.#newest = serial;
    this.#completeThrough = serial;
  }

  checkComplete(through = this.#world.serial): void {
    this.#owes(through, `${this.#channel}: at the end, after ${this.#newest}`);
    this.#say();
  }

  #say(): void {
    if (this.#unsaid !== undefined) throw new Error(this.#unsaid);
  }

  #owes(through: number, where: string): void {
    const { published, perishable, gone } = this.#world;
    const after = this.#completeThrough;
    if (after === undefined) return;
    const missing = (published.get(this.#channel) ?? []).filter((serial) => {
      if (serial <= after || serial > through || perishable.has(serial)) return false;
      return serial > this.#pastThrough || !gone.has(serial);
    });
    if (missing.length > 0) this.#unsaid ??= `${where}: ${missing} was missed without a word`;
  }
}
