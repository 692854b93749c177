import { Log } from '../../src/hub/log.ts';
import type {
  Archive,
  ArchivePage,
  ArchiveRange,
  Intake,
  Publication,
  Sink,
  Source,
  Upstream,
} from '../../src/hub/source.ts';
import type { GapReason } from '../../src/reasons.ts';
import type { Destination, Route } from '../../src/routing/router.ts';

/** One message as a stream stores it. `serial` counts all messages there ever were, of whatever stream. */
export interface Stored {
  readonly offset: number;
  readonly serial: number;
  readonly subject: string;
  readonly timeMs: number;
  readonly ttlMs: number | undefined;
  /** Whether the one of the same subject before it was discarded before anybody read it. */
  readonly hasReplaced: boolean;
}

/** What a client reads from `data:`; `serial` tells what it is, and in which order it was published. */
export function dataOf(channel: string, serial: number): string {
  return `${channel}:${serial}`;
}

function toPublication({ serial, timeMs, ttlMs }: Stored, channel: string): Publication {
  return { event: undefined, data: dataOf(channel, serial), timeMs, ...(ttlMs !== undefined && { ttlMs }) };
}

/** A stream as the server keeps it. */
export class ModelStream {
  readonly name: string;
  #life = 1;
  #isDiscarded = false;
  /** Offset of the oldest message that is kept. */
  first = 1;
  messages: Stored[] = [];
  /** All that it ever held. */
  readonly #past: { readonly life: number; readonly offset: number; readonly serial: number }[] = [];

  readonly #gone: (serial: number) => void;

  /** `gone` is told of what is no longer there. */
  constructor(name: string, gone: (serial: number) => void) {
    this.name = name;
    this.#gone = gone;
  }

  get epoch(): string {
    return `${this.name}${this.#life}`;
  }

  get last(): number {
    return this.first - 1 + this.messages.length;
  }

  store(message: Omit<Stored, 'offset' | 'hasReplaced'>): void {
    const hasReplaced = this.#isDiscarded;
    this.#isDiscarded = false;
    const offset = this.last + 1;
    this.#past.push({ life: this.#life, offset, serial: message.serial });
    this.messages.push({ ...message, offset, hasReplaced });
  }

  /** The newest message up to a position, if it still is there or not; 0 where there was none. */
  serialAt(epoch: string | undefined, offset: number): number {
    const life = Number(epoch?.slice(this.name.length));
    const upTo = (past: { life: number; offset: number }) =>
      past.life < life || (past.life === life && past.offset <= offset);
    return this.#past.findLast(upTo)?.serial ?? 0;
  }

  /** The next one takes the place of the newest. */
  discardNewest(): void {
    const { serial } = this.messages.pop() ?? {};
    this.#past.pop();
    this.#isDiscarded = true;
    if (serial !== undefined) this.#gone(serial);
  }

  /** Keeps the newest `count`. */
  purge(count: number): void {
    const gone = this.messages.splice(0, Math.max(0, this.messages.length - count));
    for (const { serial } of gone) this.#gone(serial);
    this.first += gone.length;
  }

  recreate(): void {
    this.purge(0);
    this.#life += 1;
    this.first = 1;
    this.messages = [];
  }
}

/** One replica's view of a stream: it is fed by hand, so that replicas are at different places. */
export class StreamFeed implements Source {
  readonly log = new Log();
  readonly interrupted = false;
  readonly archive: ModelArchive;
  readonly #stream: ModelStream;
  readonly #routes: readonly Route[];
  readonly #sinks = new Map<string, Sink>();
  readonly #wall: () => number;
  #lostThrough = 0;
  /** The hub, once there is one. */
  intake: Intake | undefined;

  constructor(stream: ModelStream, routes: readonly Route[], wall: () => number) {
    this.#stream = stream;
    this.#routes = routes;
    this.#wall = wall;
    this.archive = new ModelArchive(stream, this.log);
    this.log.begin(stream.epoch, stream.last, wall());
  }

  open({ channel }: Destination, sink: Sink): Upstream {
    if (this.#sinks.has(channel)) throw new Error(`${channel} is opened twice`);
    this.#sinks.set(channel, sink);
    sink.settled();
    return { close: () => void this.#sinks.delete(channel) };
  }

  /** Passes on the next `count` messages, and what happened to the stream before. */
  feed(count: number): void {
    const { log } = this;
    const { epoch, first, messages } = this.#stream;
    if (log.epoch !== epoch) {
      log.begin(epoch, first - 1, this.#wall());
      this.#lostThrough = 0;
      this.#gap('recreated');
    }
    if (first > log.offset + 1) this.#lost(first - 1);
    const from = Math.max(0, log.offset + 1 - first);
    for (const message of messages.slice(from, from + count)) this.#pass(message);
  }

  #pass(message: Stored): void {
    this.log.offset = message.offset;
    for (const route of this.#routes) {
      const channel = route.template.toChannel(message.subject);
      const resolved = channel === undefined ? undefined : route.template.toSubject(channel);
      if (channel === undefined || resolved === undefined) continue;
      const publication = toPublication(message, channel);
      const sink = this.#sinks.get(channel);
      if (sink !== undefined) sink.publish(publication, message.offset);
      else if (route.config.history.size > 0)
        this.intake?.keep({ route, channel, ...resolved }, publication, message.offset);
      if (message.hasReplaced) this.#break(channel);
    }
  }

  #break(channel: string): void {
    const { log } = this;
    const history = log.histories.get(channel);
    if (history === undefined) log.floor = Math.max(log.floor, log.offset);
    else history.breaks(log.offset, 'too-old', this.#wall());
    this.#sinks.get(channel)?.gap('too-old');
  }

  #lost(through: number): void {
    const { log } = this;
    if (this.#lostThrough === through) return;
    this.#lostThrough = through;
    const nowMs = this.#wall();
    for (const history of log.histories.values()) history.breaks(through, 'too-old', nowMs);
    log.floor = Math.max(log.floor, through);
    log.floorMs = Math.max(log.floorMs, nowMs);
    this.#gap('too-old');
    log.offset = Math.max(log.offset, through);
  }

  #gap(reason: GapReason): void {
    for (const sink of this.#sinks.values()) sink.gap(reason);
  }
}

/** Reads the model stream; may be held up or made to fail. */
export class ModelArchive implements Archive {
  isFailing = false;
  reads = 0;
  readonly #stream: ModelStream;
  readonly #log: Log;
  #held: (() => void)[] | undefined;

  constructor(stream: ModelStream, log: Log) {
    this.#stream = stream;
    this.#log = log;
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
    const { epoch } = this.#log;
    await this.#answer();
    if (this.#stream.epoch !== epoch) throw new Error('the stream was made anew');
    return this.#stream.last;
  }

  async read({ route, channel }: Destination, range: ArchiveRange): Promise<ArchivePage> {
    this.reads += 1;
    const { epoch } = this.#log;
    await this.#answer();
    if (this.#stream.epoch !== epoch) throw new Error('the stream was made anew');
    const { first, messages } = this.#stream;
    const all = messages.filter(
      ({ offset, subject }) => offset <= range.through && route.template.toChannel(subject) === channel,
    );
    const page = select(all, first, range);
    const publications = page.stored.map((message) => ({
      offset: message.offset,
      publication: toPublication(message, channel),
    }));
    return { publications, after: page.after, ...(page.cut !== undefined && { cut: page.cut }) };
  }

  async #answer(): Promise<void> {
    if (this.#held !== undefined) await new Promise<void>((go) => this.#held?.push(go));
    if (this.isFailing) throw new Error('the stream cannot be read now');
  }
}

interface Selected {
  readonly stored: readonly Stored[];
  readonly after: number;
  readonly cut: GapReason | undefined;
}

function select(all: readonly Stored[], first: number, { from, limit }: ArchiveRange): Selected {
  const wanted = all.filter(
    ({ offset, timeMs }) =>
      (from.kind !== 'after' || offset > from.offset) && (from.kind !== 'since' || timeMs >= from.timeMs),
  );
  const asked = from.kind === 'last' ? wanted.slice(-from.count) : wanted;
  const before = all.slice(0, all.length - asked.length).at(-1)?.offset ?? 0;
  const isTooMany = asked.length > limit;
  const stored = asked.slice(-limit);
  const start = isTooMany
    ? (asked.at(-limit - 1)?.offset ?? 0)
    : from.kind === 'after'
      ? from.offset
      : before;
  // Only for who has a position it is looked up what there was.
  if (from.kind !== 'after') return { stored, after: start, cut: isTooMany ? 'too-many' : undefined };
  const replaced = stored.findLast(({ hasReplaced }) => hasReplaced)?.offset ?? 0;
  const isTooOld = replaced > 0 || first > from.offset + 1;
  const cut = isTooMany ? 'too-many' : isTooOld ? 'too-old' : undefined;
  return { stored, after: Math.max(start, first - 1, replaced), cut };
}
