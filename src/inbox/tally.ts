import { type Clock, type Due, Timer, type TimerWheel } from '../clock.ts';
import type { Subscriber } from '../hub/channel.ts';
import type { Publication, Source } from '../hub/source.ts';
import { formatPosition } from '../protocol/cursor.ts';
import type { Destination } from '../routing/router.ts';
import type { Marks } from './marks.ts';
import { endOf, type Reading } from './reading.ts';
import { covers, merge, nothingRead, type ReadState } from './state.ts';
import type { Unread, Waiting } from './unread.ts';

/** How many messages of a channel are unread, as it is told. */
export interface UnreadCount {
  readonly channel: string;
  readonly unread: number;
  /** Whether there are more than are counted. Absent: no. */
  readonly more?: true;
  /** The id up to which all is read. */
  readonly through: string;
}

export interface TallyOptions {
  readonly destination: Destination;
  readonly source: Source;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly reading: Pick<Reading, 'run' | 'count'>;
  readonly marks: Pick<Marks, 'get'>;
  /** Whether anybody is on the channel: otherwise nobody is told, and nothing is read for it. */
  isRead(): boolean;
  /** Tells all who are on the channel. */
  tell(count: UnreadCount): void;
  /** Tells one of them. */
  tellOne(subscriber: Subscriber, count: UnreadCount): void;
}

/** A channel's streams are told this often at most, in milliseconds. */
const SPACING_MS = 250;
/** How long until a count that failed is tried again. */
const RETRY_MS = 5_000;
/** What another instance read may not have been heard of here; so who joins after that long has it looked up. */
const STATE_GOOD_MS = 30_000;

/** The count of one channel that is open here: kept in memory, and told when it changes. */
export class Tally implements Due {
  readonly #options: TallyOptions;
  readonly #timer = new Timer(this);
  readonly #joined = new Set<Subscriber>();
  #unread: Unread | undefined;
  /** Up to which position it was counted when it was counted last. */
  #through = 0;
  /** What came while it is being counted; absent while it is not. */
  #arrived: Waiting[] | undefined;
  /** What is known to be read, by whoever. */
  #state: ReadState | undefined;
  /** When that was looked up, by the clock that only grows. */
  #stateMs = Number.NEGATIVE_INFINITY;
  /** What was told last, and when. */
  #told = '';
  #toldMs = Number.NEGATIVE_INFINITY;
  /** A count that failed is not tried again before. */
  #retryAtMs = Number.NEGATIVE_INFINITY;
  #isMemoryGood = true;
  #isClosed = false;

  constructor(options: TallyOptions) {
    this.#options = options;
  }

  get destination(): Destination {
    return this.#options.destination;
  }

  get source(): Source {
    return this.#options.source;
  }

  /** What is unread, and up to which position that is known; absent where it is not known. */
  get counted(): { readonly unread: Unread; readonly through: number } | undefined {
    const { log } = this.#options.source;
    if (this.#unread === undefined || this.#unread.state.epoch !== log.epoch) return undefined;
    this.#unread.expire(this.#options.clock.wall());
    if (this.#unread.isShort) return undefined;
    return { unread: this.#unread, through: Math.max(this.#through, log.offset) };
  }

  arrived(publication: Publication, offset: number): void {
    const message = { offset, expiresMs: endOf(publication) };
    this.#arrived?.push(message);
    if (this.#unread === undefined) return;
    this.#unread.add(message);
    this.#soon();
  }

  /** What was counted is no longer sure. */
  broke(): void {
    this.#unread = undefined;
    this.#arrived = undefined;
    this.#retryAtMs = Number.NEGATIVE_INFINITY;
    this.#soon();
  }

  /** It has what is gone from the stream, and so may memory. */
  misled(): void {
    this.#isMemoryGood = false;
    this.broke();
  }

  /** So much is read now, or was all along. */
  learned(state: ReadState): void {
    const { epoch } = this.#options.source.log;
    if (state.epoch !== epoch) return;
    if (this.#state !== undefined && covers(this.#state, state)) return;
    this.#state = merge(this.#state ?? nothingRead(epoch), state);
    this.#unread?.read(this.#state);
    this.#soon();
  }

  /** What was known to be read is not true: only so much is. */
  annulled(state: ReadState): void {
    this.#forget();
    this.broke();
    this.learned(state);
  }

  #forget(): void {
    this.#state = undefined;
    this.#unread = undefined;
  }

  joined(subscriber: Subscriber): void {
    this.#joined.add(subscriber);
    this.#soon();
  }

  /** What others read meanwhile may not have been heard of. */
  suspect(): void {
    this.#stateMs = Number.NEGATIVE_INFINITY;
    this.#retryAtMs = Number.NEGATIVE_INFINITY;
    this.#soon();
  }

  close(): void {
    this.#isClosed = true;
    this.#joined.clear();
    this.#options.wheel.cancel(this.#timer);
  }

  onDue(): void {
    if (this.#isClosed) return;
    if (!this.#options.isRead()) {
      this.#joined.clear();
      return;
    }
    const isSure = this.counted !== undefined;
    // Where it is suspected it is older than anything.
    const goodMs = this.#joined.size > 0 ? STATE_GOOD_MS : Number.MAX_VALUE;
    const isStateOld = this.#options.clock.now() - this.#stateMs > goodMs;
    if (isSure && !isStateOld) this.#tell();
    // Who is waited for sees to it that it is told.
    else if (this.#arrived === undefined) void this.#count();
  }

  #soon(delayMs = 0): void {
    if (this.#isClosed) return;
    const { clock, wheel } = this.#options;
    const earliestMs = Math.max(this.#toldMs + SPACING_MS, this.#retryAtMs);
    wheel.schedule(this.#timer, Math.max(delayMs, earliestMs - clock.now(), 0));
  }

  /** Never rejects. */
  async #count(): Promise<void> {
    const arrived: Waiting[] = [];
    this.#arrived = arrived;
    try {
      await this.#options.reading.run(this.#options.destination, () => this.#look(arrived));
      this.#soon();
    } catch {
      // InboxRefusal, which was counted and told to the log. However many come and go meanwhile, none is held on to: all are told then.
      this.#joined.clear();
      this.#told = '';
      this.#retryAtMs = this.#options.clock.now() + RETRY_MS;
      this.#soon();
    } finally {
      if (this.#arrived === arrived) this.#arrived = undefined;
    }
  }

  async #look(arrived: readonly Waiting[]): Promise<void> {
    const { destination, source, marks, reading, clock, isRead } = this.#options;
    if (this.#isClosed || !isRead()) return;
    const { state, isVoid } = await marks.get(destination, source, this.#state);
    const { epoch } = state;
    this.#stateMs = clock.now();
    if (isVoid) this.#forget();
    if (this.#state?.epoch !== epoch) this.#state = nothingRead(epoch);
    this.learned(state);
    if (this.counted !== undefined) return;
    const { unread, through } = await reading.count(destination, source, this.#state, this.#isMemoryGood);
    // It broke meanwhile: what was counted may be of a log that is gone.
    if (this.#arrived !== arrived || source.log.epoch !== epoch) return;
    // Learned while it was counted.
    unread.read(this.#state);
    for (const message of arrived) unread.add(message);
    this.#unread = unread;
    this.#through = through;
  }

  #tell(): void {
    const { destination, clock, tell, tellOne } = this.#options;
    const { counted } = this;
    if (counted === undefined) return;
    const count = toCount(destination.channel, counted.unread);
    const text = `${count.unread}${count.more ?? ''}`;
    if (text !== this.#told) {
      tell(count);
      this.#told = text;
      this.#toldMs = clock.now();
    } else {
      const isOn = ({ channels }: Subscriber) => channels.some(({ name }) => name === destination.channel);
      // Others were taken off it while it was counted, and are not to know any more.
      for (const subscriber of this.#joined) if (isOn(subscriber)) tellOne(subscriber, count);
    }
    this.#joined.clear();
    const endsInMs = counted.unread.endsMs - clock.wall();
    // Looked at again once an hour at least: the wheel is not for longer times.
    if (endsInMs !== Infinity) this.#soon(Math.min(endsInMs, 3_600_000));
  }
}

export function toCount(channel: string, { count, hasMore, state }: Unread): UnreadCount {
  const through = formatPosition(state.epoch, state.through);
  return { channel, unread: count, ...(hasMore && { more: true as const }), through };
}
