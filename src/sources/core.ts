import type { NatsConnection, Subscription } from '@nats-io/transport-node';
import { type Clock, Timer, type TimerWheel } from '../clock.ts';
import { Log } from '../hub/log.ts';
import type { Sink, Source, Upstream } from '../hub/source.ts';
import { Complaints, type Logger } from '../log.ts';
import type { DropReason, Metrics } from '../metrics.ts';
import type { Destination } from '../routing/router.ts';
import type { MessageSpan, Tracing } from '../tracing/tracing.ts';
import { Duplicates } from './duplicates.ts';
import { spanOf, traceFieldsOf } from './message-trace.ts';
import type { NatsListener } from './nats.ts';
import { headerOf, ID_HEADER, type Message, toPublication, UNREDACTABLE } from './publication.ts';

export interface CoreSourceOptions {
  /** Names what this process sees of its core routes: different at every start, of `EPOCH_LENGTH`. */
  readonly epoch: string;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Largest payload passed on, in bytes. */
  readonly maxEventBytes: number;
  /** Absent where nobody takes spans. */
  readonly tracing?: Tracing | undefined;
}

/** A subject that NATS refuses is tried again after this long, doubled each time up to the second number. */
const DENIED_RETRY_MS = [5_000, 60_000] as const;

/** Feeds channels from core NATS: one subscription per subject, while somebody is interested. */
export class CoreSource implements Source, NatsListener {
  readonly log: Log;
  readonly #options: CoreSourceOptions;
  readonly #feeds = new Map<string, Feed>();
  readonly #complaints: Complaints;
  /** By route. */
  readonly #duplicates = new Map<string, Duplicates>();
  #connection: NatsConnection | undefined;
  /** No connection to NATS. */
  #isAway = true;
  /** Feeds that missed what was published while there was none, which has not been said yet. */
  readonly #missing = new Set<Feed>();
  /** Asked for, and not known yet to be in place. */
  readonly #unconfirmed = new Set<Feed>();
  #confirmScheduled = false;

  constructor(options: CoreSourceOptions) {
    this.#options = options;
    this.#complaints = new Complaints(options.log, options.clock);
    this.log = new Log(options.epoch);
  }

  get interrupted(): boolean {
    return this.#isAway || this.#missing.size > 0;
  }

  /** Subjects that are subscribed to, as far as is known. */
  get subscriptionCount(): number {
    let count = 0;
    for (const feed of this.#feeds.values()) if (feed.subscription !== undefined) count += 1;
    return count;
  }

  /** There is no such route any more. */
  forget(route: string): void {
    this.#duplicates.delete(route);
  }

  open(destination: Destination, sink: Sink): Upstream {
    const { subject } = destination;
    const outlet: Outlet = {
      destination,
      sink,
      metrics: this.#options.metrics.route(destination.route.name),
    };
    const known = this.#feeds.get(subject);
    const feed = known ?? new Feed(this, subject);
    feed.outlets.push(outlet);
    if (known === undefined) {
      this.#feeds.set(subject, feed);
      this.#subscribe(feed);
    } else if (known.denied) sink.gap('unavailable');
    // Without a connection the feed is in place when there is one, and then a gap is said.
    if (this.#isAway || feed.confirmed || feed.denied) sink.settled();
    return { close: () => this.#close(feed, outlet) };
  }

  connected(connection: NatsConnection): void {
    const again = this.#connection !== undefined;
    this.#connection = connection;
    this.#isAway = false;
    for (const feed of this.#feeds.values()) {
      if (feed.denied) {
        this.retry(feed);
        continue;
      }
      if (again) this.#missing.add(feed);
      this.#subscribe(feed);
    }
  }

  disconnected(): void {
    this.#isAway = true;
    for (const feed of this.#unconfirmed) this.#settle(feed);
    this.#unconfirmed.clear();
  }

  refused(error: Error): void {
    // The server names no subject here. What it refused is among those that were asked for since the last answer.
    if (!/maximum subscriptions/i.test(error.message)) return;
    for (const feed of [...this.#unconfirmed]) this.#denied(feed, error);
  }

  reconnected(): void {
    this.#isAway = false;
    for (const feed of this.#feeds.values()) {
      if (feed.denied) this.retry(feed);
      else {
        // The client has asked again for what it had, also for what nobody had confirmed when the connection was lost.
        // Until NATS has taken that in, more is missed: said before, the gap would not cover it.
        this.#unconfirmed.add(feed);
        this.#missing.add(feed);
      }
    }
    this.#confirmSoon();
  }

  /** Every message comes through here. It never throws: a throw would end the client's read loop without a word. */
  message(feed: Feed, error: Error | null, message: Message): void {
    if (error !== null) {
      this.#denied(feed, error);
      return;
    }
    // What comes shows that the subscription is in place.
    if (this.#missing.size > 0) this.#tellMissed(feed);
    const { tracing } = this.#options;
    const span = tracing === undefined ? undefined : spanOf(tracing, message, feed.outlets[0]?.destination);
    for (const outlet of feed.outlets) {
      try {
        this.#pass(outlet, message, span);
      } catch (cause) {
        outlet.metrics.dropped.error += 1;
        const fields = { error: String(cause), ...traceFieldsOf(message, span) };
        this.#drop('error', outlet, fields, 'a message could not be mapped and was dropped', span);
      }
    }
    span?.end();
  }

  /** Asks NATS once more for a subject that it refused. */
  retry(feed: Feed): void {
    if (this.#connection === undefined || this.#feeds.get(feed.subject) !== feed) return;
    this.#subscribe(feed);
  }

  #pass(outlet: Outlet, message: Message, span: MessageSpan | undefined): void {
    const { clock, maxEventBytes } = this.#options;
    const { destination, sink, metrics } = outlet;
    if (message.data.length > maxEventBytes) {
      metrics.dropped['too-large'] += 1;
      const fields = { bytes: message.data.length, ...traceFieldsOf(message, span) };
      this.#drop('too-large', outlet, fields, 'a message over limits.event was dropped', span);
      return;
    }
    const id = headerOf(message, ID_HEADER) ?? '';
    if (id !== '' && this.#isDuplicate(outlet, message, id, span)) return;
    const timeMs = destination.route.config.envelope ? clock.wall() : 0;
    const publication = toPublication(destination, message, metrics, { timeMs });
    if (publication === undefined) {
      this.#drop('unredactable', outlet, { ...traceFieldsOf(message, span) }, UNREDACTABLE, span);
      return;
    }
    if (id === '' && publication.id !== undefined && this.#isDuplicate(outlet, message, publication.id, span))
      return;
    span?.published(destination, sink.subscriptionCount);
    sink.publish(publication);
  }

  #isDuplicate(outlet: Outlet, { subject }: Message, id: string, span: MessageSpan | undefined): boolean {
    const isKnown = this.#duplicatesOf(outlet).has(subject, id);
    if (!isKnown) return false;
    outlet.metrics.dropped.duplicate += 1;
    span?.dropped(outlet.destination, 'duplicate');
    return true;
  }

  /** Tells that a message does not get to a channel. */
  #drop(
    reason: DropReason,
    outlet: Outlet,
    fields: Record<string, unknown>,
    text: string,
    span: MessageSpan | undefined,
  ): void {
    span?.dropped(outlet.destination, reason);
    this.#complain(reason, outlet, fields, text);
    outlet.sink.gap(reason === 'too-large' ? reason : 'error');
  }

  #duplicatesOf({ destination }: Outlet): Duplicates {
    const { name } = destination.route;
    const known = this.#duplicates.get(name);
    if (known !== undefined) return known;
    const made = new Duplicates(this.#options.clock);
    this.#duplicates.set(name, made);
    return made;
  }

  // There is never a second subscription, or each message would come twice: an attempt that is still due is called off,
  // and one that the client restored by itself is given up.
  #subscribe(feed: Feed): void {
    const connection = this.#connection;
    if (connection === undefined || connection.isClosed()) return;
    this.#options.wheel.cancel(feed.timer);
    try {
      feed.subscription?.unsubscribe();
      feed.subscription = connection.subscribe(feed.subject, {
        callback: (error, message) => this.message(feed, error, message),
      });
      feed.confirmed = false;
      this.#unconfirmed.add(feed);
      this.#confirmSoon();
    } catch (cause) {
      // ClosedConnectionError between two connections, or a subject the client does not take.
      this.#denied(feed, cause instanceof Error ? cause : new Error(String(cause)));
    }
  }

  // NATS answers a SUB only when it refuses; the answer to a PING sent after it tells that it did not. One PING serves
  // all that were asked for in a turn.
  #confirmSoon(): void {
    if (this.#confirmScheduled) return;
    this.#confirmScheduled = true;
    setImmediate(() => {
      this.#confirmScheduled = false;
      const asked = [...this.#unconfirmed].map((feed) => ({ feed, subscription: feed.subscription }));
      this.#connection?.flush().then(
        // A turn later: errors that came before the PONG reach us by a longer way.
        () => setImmediate(() => this.#confirm(asked)),
        () => {
          // ClosedConnectionError: `disconnected` has settled them, and the next connection asks again.
        },
      );
    });
  }

  #confirm(asked: readonly { feed: Feed; subscription: Subscription | undefined }[]): void {
    for (const { feed, subscription } of asked) {
      if (subscription === undefined || feed.subscription !== subscription || subscription.isClosed())
        continue;
      if (!this.#unconfirmed.delete(feed)) continue;
      feed.confirmed = true;
      this.#tellMissed(feed);
      if (feed.denied) this.#permitted(feed);
      this.#settle(feed);
    }
  }

  #permitted(feed: Feed): void {
    feed.denied = false;
    feed.retryMs = DENIED_RETRY_MS[0];
    this.#options.log.info({ subject: feed.subject }, 'NATS permits the subject again');
    this.#gap(feed, 'available');
  }

  #tellMissed(feed: Feed): void {
    if (this.#missing.delete(feed)) this.#gap(feed, 'disconnected');
  }

  #settle(feed: Feed): void {
    for (const { sink } of feed.outlets) sink.settled();
  }

  #denied(feed: Feed, error: Error): void {
    const { wheel } = this.#options;
    feed.subscription?.unsubscribe();
    feed.subscription = undefined;
    feed.confirmed = false;
    this.#unconfirmed.delete(feed);
    this.#missing.delete(feed);
    wheel.schedule(feed.timer, feed.retryMs);
    feed.retryMs = Math.min(feed.retryMs * 2, DENIED_RETRY_MS[1]);
    if (feed.denied) return;
    feed.denied = true;
    const [outlet] = feed.outlets;
    if (outlet !== undefined) {
      const fields = { subject: feed.subject, error: error.message };
      this.#complain(
        'denied',
        outlet,
        fields,
        'NATS refuses the subject; its channels are unavailable',
        'error',
      );
    }
    this.#gap(feed, 'unavailable');
    this.#settle(feed);
  }

  #gap(feed: Feed, reason: 'disconnected' | 'unavailable' | 'available'): void {
    for (const { sink } of feed.outlets) sink.gap(reason);
  }

  #close(feed: Feed, outlet: Outlet): void {
    const index = feed.outlets.indexOf(outlet);
    if (index >= 0) feed.outlets.splice(index, 1);
    if (feed.outlets.length > 0) return;
    this.#options.wheel.cancel(feed.timer);
    this.#unconfirmed.delete(feed);
    this.#missing.delete(feed);
    this.#feeds.delete(feed.subject);
    feed.subscription?.unsubscribe();
    feed.subscription = undefined;
  }

  #complain(
    kind: string,
    { destination }: Outlet,
    fields: Record<string, unknown>,
    text: string,
    level: 'warn' | 'error' = 'warn',
  ): void {
    const route = destination.route.name;
    this.#complaints[level](`${kind} ${route}`, { route, ...fields }, text);
  }
}

/** One channel that a subject feeds. */
interface Outlet {
  readonly destination: Destination;
  readonly sink: Sink;
  readonly metrics: ReturnType<Metrics['route']>;
}

/** One subject's subscription, shared by all channels of all routes that it feeds. */
class Feed {
  readonly subject: string;
  readonly outlets: Outlet[] = [];
  readonly timer: Timer;
  subscription: Subscription | undefined;
  /** Whether NATS is known to have the subscription. */
  confirmed = false;
  denied = false;
  retryMs: number = DENIED_RETRY_MS[0];

  constructor(source: CoreSource, subject: string) {
    this.subject = subject;
    this.timer = new Timer({ onDue: () => source.retry(this) });
  }
}
