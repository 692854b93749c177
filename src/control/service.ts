import { type Service as NatsService, type ServiceMsg, Svcm } from '@nats-io/services';
import type { NatsConnection } from '@nats-io/transport-node';
import { type Due, Timer, type TimerWheel } from '../clock.ts';
import { headersOf } from '../cluster/headers.ts';
import { messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import { callerOf } from './caller.ts';
import type { Caller, Spec } from './operation.ts';
import type { Outcome, Refusal } from './outcome.ts';
import { printable } from './printable.ts';
import { CONTROL_STATUS } from './status.ts';

export interface ServiceOptions {
  /** Begins the subjects: `<prefix>.api.<operation>`. */
  readonly prefix: string;
  readonly instance: string;
  /** Of the software. */
  readonly version: string;
  readonly specs: readonly Spec[];
  readonly wheel: TimerWheel;
  readonly log: Logger;
  /** How long until the other instances are known, in milliseconds. */
  settlesInMs(): number;
  /** Never rejects. */
  call(operation: string, payload: Uint8Array, caller: Caller): Promise<Outcome>;
}

/** What `nats micro ls` shows. */
const NAME = 'sidestream';
const DESCRIPTION = 'Streams from NATS to browsers: see, steer, publish.';
/** One instance takes a call; all are in this queue group. */
const QUEUE = 'sidestream';
/** How long until NATS is asked again for a subject that it refused, in milliseconds. */
const DENIED_RETRY_MS = 60_000;

/** The operations as a NATS service. Where NATS refuses one of its subjects, there is none, and all else goes on. */
export class Service implements Due {
  readonly #options: ServiceOptions;
  readonly #timer = new Timer(this);
  #connection: NatsConnection | undefined;
  #service: NatsService | undefined;
  #denied = false;

  constructor(options: ServiceOptions) {
    this.#options = options;
  }

  connected(connection: NatsConnection): void {
    this.#connection = connection;
    this.#service = undefined;
    this.#denied = false;
    this.#offerSoon(this.#options.settlesInMs());
  }

  /** The client has restored the subscriptions, unless NATS had refused one. */
  reconnected(): void {
    if (this.#service === undefined) this.#offerSoon(this.#options.settlesInMs());
  }

  /** Takes no more calls. Not awaited: where NATS does not answer, its client waits for ever. */
  stop(): void {
    this.#options.wheel.cancel(this.#timer);
    this.#connection = undefined;
    this.#service?.stop().catch(() => {
      // ClosedConnectionError: it has ended.
    });
  }

  onDue(): void {
    void this.#offer();
  }

  // Not before the others are known: an answer would leave them out without a word.
  #offerSoon(delayMs: number): void {
    this.#options.wheel.schedule(this.#timer, delayMs);
  }

  /** Never rejects. */
  async #offer(): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined || connection.isClosed()) return;
    const { prefix, instance, version, specs } = this.#options;
    try {
      const service = await new Svcm(connection).add({
        name: NAME,
        version,
        description: DESCRIPTION,
        metadata: { prefix, instance },
        queue: QUEUE,
      });
      this.#service = service;
      void service.stopped.then((error) => this.#ended(service, error));
      const group = service.addGroup(`${prefix}.api`);
      for (const { name, kind, summary } of specs)
        group.addEndpoint(name, {
          handler: (_error, message) => void this.#answer(name, message),
          metadata: { kind, summary },
        });
    } catch (error) {
      // ClosedConnectionError: `connected` comes.
      if (connection.isClosed()) return;
      // What the library does not take, such as a version that is none: it will not take it later.
      this.#options.log.error({ error: messageOf(error) }, 'the NATS service cannot be offered from here');
    }
  }

  #ended(service: NatsService, error: Error | null): void {
    const { log, wheel } = this.#options;
    if (this.#service !== service) return;
    this.#service = undefined;
    if (this.#connection === undefined || this.#connection.isClosed()) return;
    wheel.schedule(this.#timer, DENIED_RETRY_MS);
    if (this.#denied) return;
    this.#denied = true;
    log.error(
      { error: error?.message },
      'NATS refuses a subject of the service: it is not offered from here',
    );
  }

  /** Never rejects. */
  async #answer(operation: string, message: ServiceMsg): Promise<void> {
    const caller = callerOf(headersOf(message));
    const outcome = await this.#options.call(operation, message.data, caller);
    try {
      if (outcome.ok) this.#respond(message, JSON.stringify(outcome.answer));
      else refuse(message, outcome.error);
    } catch (error) {
      // ClosedConnectionError; or a subject for the answer that is none.
      this.#options.log.debug({ operation, error: messageOf(error) }, 'a call could not be answered');
    }
  }

  #respond(message: ServiceMsg, text: string): void {
    const maxBytes = this.#connection?.info?.max_payload ?? Number.POSITIVE_INFINITY;
    const bytes = Buffer.byteLength(text);
    if (bytes <= maxBytes) message.respond(text);
    else
      refuse(message, {
        code: 'CONTROL_FAILED',
        message: `the answer has ${bytes} bytes, and NATS takes ${maxBytes}`,
      });
  }
}

function refuse(message: ServiceMsg, error: Refusal): void {
  // A header is one line.
  const description = printable(error.message);
  message.respondError(CONTROL_STATUS[error.code], description, JSON.stringify({ error }));
}
