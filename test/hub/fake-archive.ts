import type { Archive, ArchivePage, ArchiveRange, ArchiveStart, Publication } from '../../src/hub/source.ts';
import type { GapReason } from '../../src/reasons.ts';
import type { Destination } from '../../src/routing/router.ts';

export interface Kept {
  readonly offset: number;
  readonly timeMs?: number;
  readonly ttlMs?: number;
  readonly key?: string;
  readonly data?: string;
  /** Whether its key has no value from here on. */
  readonly isDelete?: boolean;
  /** Absent: of every channel. */
  readonly channel?: string;
}

/** A log of one channel or several, kept in an array; may be held up or made to fail. */
export class FakeArchive implements Archive {
  isFailing = false;
  /** What was asked for, in order. */
  readonly asked: Pick<ArchiveRange, 'from' | 'through' | 'limit'>[] = [];
  newestAsked = 0;
  /** What came up to an offset, or part of it, cannot be had. */
  lost: { readonly through: number; readonly reason: GapReason } = { through: 0, reason: 'purged' };
  #kept: Kept[] = [];
  #held: (() => void)[] | undefined;

  store(...kept: readonly Kept[]): void {
    this.#kept.push(...kept);
  }

  /** Forgets what came up to `offset`. */
  purge(offset: number, reason: GapReason): void {
    this.#kept = this.#kept.filter((kept) => kept.offset > offset);
    this.lost = { through: offset, reason };
  }

  hold(): void {
    this.#held ??= [];
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const go of held) go();
  }

  async newest(): Promise<number> {
    this.newestAsked += 1;
    await this.#answer();
    return this.#kept.at(-1)?.offset ?? 0;
  }

  async read({ channel }: Destination, { from, through, limit }: ArchiveRange): Promise<ArchivePage> {
    this.asked.push({ from, through, limit });
    await this.#answer();
    const all = this.#kept.filter((kept) => kept.offset <= through && (kept.channel ?? channel) === channel);
    const wanted = select(all, from);
    const found = wanted.slice(-limit);
    const before = all.filter(({ offset }) => offset < (found[0]?.offset ?? Infinity)).at(-1)?.offset ?? 0;
    const isCut = wanted.length > limit;
    const after = isCut ? before : from.kind === 'after' ? from.offset : from.kind === 'values' ? 0 : before;
    const { through: lostThrough, reason } = this.lost;
    // Only for who has a position it is looked up what there was.
    const isLost = from.kind === 'after' && lostThrough > after;
    const cut = isLost ? reason : isCut ? 'too-many' : undefined;
    const publications = found.map(toPublication);
    return { publications, after: isLost ? lostThrough : after, ...(cut !== undefined && { cut }) };
  }

  async #answer(): Promise<void> {
    if (this.#held !== undefined) await new Promise<void>((go) => this.#held?.push(go));
    if (this.isFailing) throw new Error('the log cannot be read now');
  }
}

function select(all: readonly Kept[], from: ArchiveStart): readonly Kept[] {
  switch (from.kind) {
    case 'after':
      return all.filter(({ offset }) => offset > from.offset);
    case 'last':
      return all.slice(-from.count);
    case 'since':
      return all.filter(({ timeMs = 0 }) => timeMs >= from.timeMs);
    case 'all':
      return all;
    case 'values':
      return all.filter((kept) => kept === all.findLast(({ key }) => key === kept.key) && !kept.isDelete);
  }
}

function toPublication({ offset, timeMs = 0, ttlMs, key, data }: Kept): {
  offset: number;
  publication: Publication;
} {
  return {
    offset,
    publication: {
      event: undefined,
      data: data ?? `${offset}`,
      timeMs,
      ...(ttlMs !== undefined && { ttlMs }),
      ...(key !== undefined && { key }),
    },
  };
}
