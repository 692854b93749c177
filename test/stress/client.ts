import { setTimeout as sleep } from 'node:timers/promises';
import type { ReceivedEvent } from '../support/event-stream.ts';
import type { Book } from './book.ts';
import type { Address, Bridges } from './bridges.ts';
import { type Findings, Trail } from './findings.ts';
import { Judge, type Told } from './judge.ts';
import type { Random } from './random.ts';
import { Visit } from './visit.ts';

export interface ClientOptions {
  readonly name: string;
  readonly random: Random;
  readonly books: readonly Book[];
  readonly bridges: Bridges;
  readonly findings: Findings;
  /** Epoch of each stream. */
  readonly epochs: ReadonlyMap<string, string>;
  /** How long it may stay away, in milliseconds. */
  readonly longestAwayMs: number;
  /** How long it may not read, in milliseconds. */
  readonly longestLagMs: number;
  /** Aborted when nothing more goes wrong: it stays from then on. */
  readonly calm: AbortSignal;
  /** Aborted at the end. */
  readonly over: AbortSignal;
}

/** A client as it was at some moment, with the cursor that it had then. */
interface Snapshot {
  readonly cursor: string;
  readonly process: number;
  readonly judges: ReadonlyMap<string, Judge>;
}

/** What it will do during one visit. */
interface Plan {
  readonly stayMs: number;
  readonly leaveAfterBytes: number;
  readonly lag: { readonly afterMs: number; readonly forMs: number } | undefined;
  readonly awayMs: number;
}

const MAX_SNAPSHOTS = 12;

/** A browser with a mind of its own: comes, leaves at any byte, lags, moves between bridges, comes back with an old cursor. */
export class StressClient {
  readonly name: string;
  readonly #options: ClientOptions;
  readonly #books: ReadonlyMap<string, Book>;
  readonly #target: string;
  readonly #trail = new Trail();
  #judges: Map<string, Judge>;
  #cursor = '';
  /** Which process gave the cursor… */
  #process = -1;
  /** …and which the one that was brought to this connection. */
  #broughtOf = -1;
  #snapshots: Snapshot[] = [];
  #address: Address | undefined;
  #isGreeted = false;
  /** Positions of this connection's newest cursor. */
  #positions = new Map<string, number>();

  constructor(options: ClientOptions) {
    this.#options = options;
    this.name = options.name;
    this.#books = new Map(options.books.map((book) => [book.spec.name, book]));
    this.#target = `/events?channels=${[...this.#books.keys()].join(',')}`;
    this.#judges = this.#newJudges();
  }

  /** Whether it is on a stream and was told what it is on. */
  get isGreeted(): boolean {
    return this.#isGreeted;
  }

  /** Channels of which it does not have what was published up to `last`. */
  behind(last: ReadonlyMap<Book, number>): { readonly channel: string; readonly has: number | undefined }[] {
    const missing = [];
    for (const [channel, book] of this.#books) {
      const has = this.#judges.get(channel)?.last;
      if ((has ?? 0) < (last.get(book) ?? 0)) missing.push({ channel, has });
    }
    return missing;
  }

  fault(channel: string, what: string): void {
    const trail = this.#trail.of(channel);
    this.#options.findings.fault({ who: this.name, channel, what, trail });
  }

  /** Lives until the end. */
  async run(): Promise<void> {
    const { random, over, calm, findings } = this.#options;
    while (!over.aborted) {
      if (!calm.aborted) this.#changeMind();
      const plan = this.#plan();
      const address = random.pick(this.#options.bridges.addresses);
      const visit = this.#begin(address, plan);
      await this.#stay(visit, plan);
      const place = visit.isWithinEvent ? ' within an event' : '';
      const how = await visit.ended;
      this.#isGreeted = false;
      this.#trail.note(undefined, `${findings.clock} ${how}${place}`);
      findings.count(`visits ${how}${place}`);
      await nap(calm.aborted ? 20 : Math.max(plan.awayMs, visit.retryMs ?? 100), calm, over);
    }
  }

  #newJudges(): Map<string, Judge> {
    return new Map([...this.#books].map(([channel, book]) => [channel, new Judge(book)]));
  }

  /** Now and then it is another visitor, or one whose page was asleep since an earlier cursor. */
  #changeMind(): void {
    const { random, findings } = this.#options;
    if (random.chance(0.1)) {
      this.#cursor = '';
      this.#judges = this.#newJudges();
      this.#snapshots = [];
      this.#trail.note(undefined, 'another visitor');
      findings.count('visitors without a cursor');
    } else if (this.#snapshots.length > 0 && random.chance(0.2)) {
      const { cursor, process, judges } = random.pick(this.#snapshots);
      this.#cursor = cursor;
      this.#process = process;
      this.#judges = clones(judges);
      this.#trail.note(undefined, `back to ${cursor}`);
      findings.count('returns with an old cursor');
    }
  }

  #plan(): Plan {
    const { random, calm, longestAwayMs, longestLagMs } = this.#options;
    const plan = {
      stayMs: random.chance(0.3) ? random.between(10, 300) : random.between(300, 3000),
      leaveAfterBytes: random.chance(0.3) ? 1 + random.below(60_000) : Number.POSITIVE_INFINITY,
      lag: random.chance(0.2)
        ? { afterMs: random.between(0, 500), forMs: random.between(200, longestLagMs) }
        : undefined,
      awayMs: random.chance(0.2) ? random.between(0, longestAwayMs) : 0,
    };
    if (!calm.aborted) return plan;
    return {
      stayMs: Number.POSITIVE_INFINITY,
      leaveAfterBytes: Number.POSITIVE_INFINITY,
      lag: undefined,
      awayMs: 0,
    };
  }

  #begin(address: Address, { leaveAfterBytes }: Plan): Visit {
    const { findings } = this.#options;
    const cursor = this.#cursor;
    this.#address = address;
    this.#broughtOf = this.#process;
    this.#positions = new Map();
    this.#trail.note(undefined, `${findings.clock} to ${address.name} with ${cursor || 'no cursor'}`);
    return new Visit({
      port: address.port,
      target: this.#target,
      cursor,
      leaveAfterBytes,
      onEvent: (event) => this.#onEvent(event, cursor !== ''),
      onViolation: (what) => this.fault('', what),
    });
  }

  async #stay(visit: Visit, { stayMs, lag }: Plan): Promise<void> {
    const { calm, over } = this.#options;
    const gone = visit.ended.then(() => true);
    if (lag !== undefined) {
      const isGone = await Promise.race([gone, nap(lag.afterMs, calm, over)]);
      if (!isGone) {
        visit.pause();
        await Promise.race([gone, nap(lag.forMs, calm, over)]);
        visit.resume();
      }
    }
    await Promise.race([gone, nap(stayMs, calm, over)]);
    if (calm.aborted) {
      visit.stay();
      await Promise.race([gone, nap(Number.POSITIVE_INFINITY, over)]);
    }
    visit.leave();
  }

  #onEvent(event: ReceivedEvent, isReturn: boolean): void {
    const { findings, random } = this.#options;
    const before = this.#positions;
    this.#follow(event.id);
    if (event.event === 'sidestream.open') this.#onOpen(event, isReturn);
    else if (event.event === 'sidestream.gap') this.#onGap(JSON.parse(event.data));
    else if (event.event === 'sidestream.close') {
      findings.count(`closed: ${JSON.parse(event.data).reason}`);
      this.#trail.note(undefined, event.data);
    } else if (event.event === 'sidestream.cursor') findings.count('cursors moved');
    else this.#onPublication(event, before);
    if (!this.#isGreeted || event.id === '' || !random.chance(0.03)) return;
    this.#snapshots.push({ cursor: this.#cursor, process: this.#process, judges: clones(this.#judges) });
    if (this.#snapshots.length > MAX_SNAPSHOTS) this.#snapshots.splice(random.below(MAX_SNAPSHOTS), 1);
  }

  /** Takes the cursor over, as a browser does; a log never goes back within a connection. */
  #follow(id: string): void {
    if (id === '') return;
    const positions = positionsOf(id);
    for (const [epoch, offset] of positions) {
      const before = this.#positions.get(epoch) ?? 0;
      if (offset < before) this.fault('', `the cursor ${id} goes back from ${epoch}.${before}`);
    }
    this.#positions = positions;
    this.#cursor = id;
    this.#process = this.#address?.process ?? -1;
  }

  #onOpen({ id, data }: ReceivedEvent, isReturn: boolean): void {
    const { findings } = this.#options;
    const { channels }: { channels: (Told & { channel: string })[] } = JSON.parse(data);
    if (channels.length !== this.#books.size) this.fault('', `joined ${data}`);
    for (const told of channels) {
      const { channel, resume, replayed, reason } = told;
      const book = this.#books.get(channel);
      const debt = book?.spec.debt;
      findings.count(`${debt}: ${resume}${reason === undefined ? '' : ` (${reason})`}`);
      findings.count(`${debt}: replayed`, replayed);
      this.#trail.note(channel, `open at ${id}: ${JSON.stringify(told)}`);
      const wrong = this.#judges.get(channel)?.joined({
        resume,
        reason,
        replayed,
        isReturn,
        isSameProcess: this.#broughtOf === this.#address?.process,
        offset: this.#positions.get(this.#epochOf(book)),
      });
      if (wrong !== undefined) this.fault(channel, wrong);
    }
    this.#isGreeted = true;
  }

  #onGap({ channel, reason }: { channel: string; reason: string }): void {
    this.#options.findings.count(`gap said: ${this.#books.get(channel)?.spec.debt} ${reason}`);
    this.#trail.note(channel, `gap ${reason}`);
    const wrong = this.#judges.get(channel)?.gap(reason);
    if (wrong !== undefined) this.fault(channel, wrong);
  }

  #onPublication({ id, data }: ReceivedEvent, before: ReadonlyMap<string, number>): void {
    const payload: Payload = JSON.parse(data);
    const { channel, revision } = payload;
    const book = this.#books.get(channel);
    // A key that was deleted has no payload to say its number.
    const number = revision === undefined ? payload.number : book?.numberAt(revision);
    this.#options.findings.count('publications received');
    this.#trail.note(channel, `${number} at ${id}`);
    const offset = this.#positions.get(this.#epochOf(book));
    for (const wrong of [
      this.#isGreeted ? undefined : 'a publication came before sidestream.open',
      this.#contradiction(payload, number, offset),
      this.#hasMoved(this.#epochOf(book), before)
        ? undefined
        : `publication ${number} did not move the cursor`,
      number === undefined
        ? `a publication that is not known: ${data.slice(0, 200)}`
        : this.#judges.get(channel)?.received(number, offset),
    ])
      if (wrong !== undefined) this.fault(channel, wrong);
  }

  #contradiction({ revision, data }: Payload, number: number | undefined, offset: number | undefined) {
    if (revision !== undefined && revision !== offset) return `revision ${revision} came as ${offset}`;
    if (data != null && data.number !== number) return `publication ${data.number} came as ${number}`;
    return undefined;
  }

  /** Whoever is cut off before a publication comes back with the cursor of before, and must get it then. */
  #hasMoved(epoch: string, before: ReadonlyMap<string, number>): boolean {
    return [...this.#positions].some(
      ([other, position]) => (epoch === '' || other === epoch) && position > (before.get(other) ?? -1),
    );
  }

  #epochOf(book: Book | undefined): string {
    return this.#options.epochs.get(book?.spec.stream ?? '') ?? '';
  }
}

/** A publication's own words; of a bucket within the envelope. */
interface Payload {
  readonly channel: string;
  readonly number?: number;
  readonly revision?: number;
  readonly data?: { readonly number: number } | null;
}

function clones(judges: ReadonlyMap<string, Judge>): Map<string, Judge> {
  return new Map([...judges].map(([channel, judge]) => [channel, judge.clone()]));
}

/** `epoch.offset_epoch.offset`, as docs/wire.md says. */
function positionsOf(cursor: string): Map<string, number> {
  return new Map(
    cursor.split('_').map((position) => {
      const [epoch = '', offset = ''] = position.split('.');
      return [epoch, Number(offset)];
    }),
  );
}

/** Waits so long, or until something is over. */
async function nap(ms: number, ...signals: readonly AbortSignal[]): Promise<false> {
  const signal = AbortSignal.any([...signals]);
  try {
    await sleep(Math.min(ms, 2 ** 31 - 1), undefined, { signal, ref: false });
  } catch {
    // AbortError: it is over.
  }
  return false;
}
