import type { Publication } from './mix.ts';

/** What was published, in order, and where in the bridge's log it began: the first event that anybody gets says so. */
export class PublicationRecord {
  readonly #all: Publication[] = [];
  #epoch: string | undefined;
  #before = 0;

  get length(): number {
    return this.#all.length;
  }

  add(publication: Publication): void {
    this.#all.push(publication);
  }

  /** The first publication from `from` on that goes to one of `channels`, if there is one yet. */
  find(channels: string, from: number): number | undefined {
    const index = this.#all.findIndex(({ channel }, n) => n >= from && channels.includes(channel));
    return index < 0 ? undefined : index;
  }

  /** Takes from what `id:` said of publication `index` where the log began, unless that is known. @throws Error where it is no cursor */
  learn(cursor: RegExpExecArray | null, index: number): void {
    if (this.#epoch !== undefined) return;
    const [, epoch, offset] = cursor ?? [];
    if (epoch === undefined || offset === undefined) throw new Error(`no cursor at publication ${index}`);
    this.#epoch = epoch;
    this.#before = Number(offset) - index;
  }

  /** The cursor that publication `index` must bring. */
  cursor(index: number): string {
    return `${this.#epoch}.${this.#before + index}`;
  }

  payload(index: number): Buffer {
    const publication = this.#all[index];
    if (publication === undefined) throw new TypeError(`no publication ${index}`);
    return publication.payload;
  }
}
