import type { JetStreamManager, StreamInfo } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { TimerWheel } from '../clock.ts';
import type { Archive, ArchivePage, ArchiveRange, ArchiveStart } from '../hub/source.ts';
import { RouteMetrics } from '../metrics.ts';
import type { Destination } from '../routing/router.ts';
import { isUnstored, openJetStream, type Trouble, troubleOf } from './jetstream.ts';
import { isOfBucket } from './kv.ts';
import { Latest } from './latest.ts';
import { narrow } from './narrow.ts';
import type { ConsumerStart } from './ordered-consumer.ts';
import { toPublication } from './publication.ts';
import { Selection } from './selection.ts';
import { lossAfter, newestHole, replacesOld, type Span } from './stream-loss.ts';
import { type StoredMessage, StreamReader, storedByLeader } from './stream-reader.ts';

export interface StreamArchiveOptions {
  readonly wheel: TimerWheel;
  readonly stream: string;
  /** Largest payload passed on, in bytes. */
  readonly maxEventBytes: number;
  /** Creation time of the stream that the positions are of, if that is known. */
  created(): string | undefined;
  /** The newest position that is known here. */
  known(): number;
  /** Whether the stream is known not to be had. */
  isOut(): boolean;
  /** Called when the stream was found to be another one, or gone. */
  changed(): void;
  /** Called when it could not be read, and will not be before somebody mends that. */
  refused(trouble: Trouble, error: unknown): void;
}

/** Messages that a replica may be behind; whoever is behind further is not read from. */
const MAX_BEHIND = 1_000;

/**
 * Reads a JetStream stream again, by a consumer for each reading. Not by direct gets in batches: they cost the server as much
 * (20 of 40,000 messages by subject: 1.9 ms of its CPU either way, nats-server 2.15), need a permission more, the stream's
 * `allow_direct`, and nats-server 2.11.
 */
export class StreamArchive implements Archive {
  readonly #options: StreamArchiveOptions;
  readonly #info: Latest<StreamInfo>;
  #connection: NatsConnection | undefined;

  constructor(options: StreamArchiveOptions) {
    this.#options = options;
    this.#info = new Latest(async () => (await this.#open()).streams.info(options.stream));
  }

  connected(connection: NatsConnection): void {
    this.#connection = connection;
  }

  disconnected(): void {
    this.#connection = undefined;
  }

  async newest(): Promise<number> {
    try {
      return (await this.#look()).state.last_seq;
    } catch (error) {
      this.#accept(error);
      return this.#options.known();
    }
  }

  async timeOf(offset: number): Promise<number | undefined> {
    try {
      const jsm = await this.#open();
      const found = await jsm.streams.getMessage(this.#options.stream, { seq: offset });
      return found?.time.getTime();
    } catch (error) {
      this.#accept(error);
      return undefined;
    }
  }

  async read(destination: Destination, range: ArchiveRange): Promise<ArchivePage> {
    try {
      return await this.#read(destination, range);
    } catch (error) {
      this.#accept(error);
      return { publications: [], after: range.through, cut: 'unavailable' };
    }
  }

  async #read(destination: Destination, range: ArchiveRange): Promise<ArchivePage> {
    const jsm = await this.#open();
    const { from, through } = range;
    const last = from.kind === 'last' && from.count === 1 ? await this.#last(jsm, destination) : undefined;
    const isLast = last === null || (last !== undefined && last.stamp.offset <= through);
    const selection = isLast
      ? this.#select(destination, range, (last?.stamp.offset ?? 1) - 1, last === null ? [] : [last])
      : await this.#readAll(jsm, destination, range);
    // Only now: what was deleted, or made anew, up to here may be missing.
    const info = await this.#look();
    if (!isLast && info.config.num_replicas > 1) await this.#complete(jsm, destination, range, selection);
    if (from.kind === 'after')
      await checkLoss({ jsm, info, offset: from.offset, through }, destination, selection);
    return this.#page(destination, selection);
  }

  /**
   * Whoever is sent away because of a failure comes back with the same cursor, and with the other channels that it wants: so
   * what will not pass by itself is told as a gap instead.
   * @throws the error, where it may pass
   */
  #accept(error: unknown): void {
    const { changed, isOut, refused } = this.#options;
    const trouble = troubleOf(error);
    // A server that has just started may be without JetStream for a moment.
    const isPassing = trouble.kind === 'passing' || (trouble.kind === 'absent' && !isOut());
    if (isPassing && !isUnstored(error)) throw error;
    if (trouble.kind === 'missing') changed();
    refused(trouble, error);
  }

  async #open(): Promise<JetStreamManager> {
    return openJetStream(this.#connected);
  }

  get #connected(): NatsConnection {
    if (this.#connection === undefined) throw new Error('there is no connection to NATS');
    return this.#connection;
  }

  /** The stream as it is now. @throws Error where it is not the one whose positions are known */
  async #look(): Promise<StreamInfo> {
    const { created, changed, stream } = this.#options;
    const info = await this.#info.ask();
    const expected = created();
    if (expected === undefined) throw new Error(`the stream ${stream} is not followed yet`);
    if (info.created === expected) return info;
    changed();
    throw new Error(`the stream ${stream} was made anew`);
  }

  async #last(jsm: JetStreamManager, { subject }: Destination): Promise<StoredMessage | null> {
    const found = await jsm.streams.getMessage(this.#options.stream, { last_by_subj: subject });
    return found === null ? null : storedByLeader(found);
  }

  #select(
    destination: Destination,
    range: ArchiveRange,
    after: number,
    messages: readonly StoredMessage[],
  ): Selection {
    const { maxEventBytes } = this.#options;
    const selection = new Selection({ range, after, maxEventBytes, isBucket: isOfBucket(destination) });
    for (const message of messages) selection.show(message);
    return selection;
  }

  async #readAll(jsm: JetStreamManager, destination: Destination, range: ArchiveRange): Promise<Selection> {
    const { stream, wheel } = this.#options;
    const options = { connection: this.#connected, jsm, wheel, stream, filter: destination.subject };
    let reader = new StreamReader(options);
    try {
      const { offset, waiting } = await reader.open(startOf(range.from));
      const selection = this.#select(destination, range, firstAfter(range.from, offset), []);
      const start = await narrow(options, range, offset + 1, waiting);
      if (start !== undefined) {
        void reader.close();
        reader = new StreamReader(options);
        await reader.open({ at: 'offset', offset: start });
        if (range.from.kind === 'last' && range.from.count <= range.limit) selection.after = start - 1;
        else selection.missing('too-many', start - 1);
      }
      await reader.read((message) => selection.show(message));
      return selection;
    } finally {
      void reader.close();
    }
  }

  /**
   * A replica may be behind, and does not say so; the leader knows what it lacks. Only the end may be missing: a
   * replica has everything up to what it has.
   */
  async #complete(
    jsm: JetStreamManager,
    { subject }: Destination,
    { from, through }: ArchiveRange,
    selection: Selection,
  ): Promise<void> {
    const { stream } = this.#options;
    const start = from.kind === 'after' ? from.offset : 0;
    for (let i = 0; i < MAX_BEHIND; i += 1) {
      const seq = Math.max(selection.newest, selection.after, start) + 1;
      if (seq > through) return;
      // Its types know this query only for direct reads, which any replica may answer; so does the server since 2.8.
      const query = { seq, next_by_subj: subject };
      const found = await jsm.streams.getMessage(stream, query);
      if (found === null || !selection.show(storedByLeader(found))) return;
    }
    throw new Error(`a replica of the stream ${stream} is too far behind`);
  }

  #page(destination: Destination, selection: Selection): ArchivePage {
    // Counted when it was live; once is enough.
    const metrics = new RouteMetrics();
    const publications = selection.messages.flatMap(({ message, stamp }) => {
      try {
        const publication = toPublication(destination, message, metrics, stamp);
        if (publication !== undefined) return [{ offset: stamp.offset, publication }];
      } catch {
        // What cannot be mapped could not be when it was live either, and was told then.
      }
      selection.missing('error', stamp.offset);
      return [];
    });
    const { after, cut, omittedThrough } = selection;
    return {
      publications,
      after,
      ...(cut !== undefined && { cut }),
      ...(omittedThrough > 0 && { omittedThrough }),
    };
  }
}

/** Tells the selection what it may lack of a span. */
async function checkLoss(span: Span, destination: Destination, selection: Selection): Promise<void> {
  const isBucket = isOfBucket(destination);
  const loss = await lossAfter(span, isBucket);
  if (loss !== undefined) selection.missing(loss.reason, loss.through);
  if (isBucket || !replacesOld(span.info)) return;
  const hole = await newestReplaced(span, destination.subject);
  if (hole !== undefined) selection.missing('too-old', hole);
}

/**
 * The newest message of a span that may have been of this subject, and have been replaced. The oldest of a subject go first,
 * so behind the oldest that is left nothing was replaced, whatever the limit is or was. That fewer are left than the limit
 * would be no such proof: one of them may have been deleted, or the limit been raised.
 */
async function newestReplaced(span: Span, subject: string): Promise<number | undefined> {
  if (/[*>]/.test(subject)) return newestHole(span);
  const query = { seq: 1, next_by_subj: subject };
  const oldest = await span.jsm.streams.getMessage(span.info.config.name, query);
  // What replaces is there; so nothing was replaced.
  if (oldest === null) return undefined;
  return newestHole({ ...span, through: Math.min(span.through, oldest.seq - 1) });
}

function startOf(from: ArchiveStart): ConsumerStart {
  switch (from.kind) {
    case 'after':
      return { at: 'offset', offset: from.offset + 1 };
    case 'since':
      return { at: 'time', time: new Date(from.timeMs).toISOString() };
    case 'values':
      return { at: 'values' };
    default:
      return { at: 'offset', offset: 1 };
  }
}

/** After which offset a reading that began after `offset` is complete. */
function firstAfter(from: ArchiveStart, offset: number): number {
  if (from.kind === 'after') return from.offset;
  return from.kind === 'since' ? offset : 0;
}
