import type { Msg, NatsConnection, SubscriptionOptions } from '@nats-io/transport-node';
import type { Clock } from '../clock.ts';
import { Complaints, type Logger } from '../log.ts';

export interface RepliesOptions {
  /** Begins the subjects of the control plane. */
  readonly prefix: string;
  /** What tells whether a route takes a subject: `undefined` where it does not. */
  readonly routes: readonly { readonly template: { toChannel(subject: string): string | undefined } }[];
  readonly log: Logger;
  readonly clock: Clock;
}

/**
 * Where answers may go. Who calls says where, and NATS does not look whether they might publish there themselves: who may do nothing
 * but ask could have a stream purged (`$JS.API.STREAM.PURGE.…`), or browsers told, in our name.
 */
export class Replies {
  readonly #options: RepliesOptions;
  readonly #complaints: Complaints;

  constructor(options: RepliesOptions) {
    this.#options = options;
    this.#complaints = new Complaints(options.log, options.clock);
  }

  /** Whether what came with such a reply subject may be heard at all: that of an inbox, or none. */
  accepts(subject: string | undefined): boolean {
    // Inboxes, and the subjects that stand for them across accounts; a route may take every first token.
    if (subject === undefined || subject === '' || subject.startsWith('_')) return true;
    const { prefix, routes } = this.#options;
    const isOurs = subject.startsWith('$') || subject.startsWith(`${prefix}.`);
    if (!isOurs && !routes.some(({ template }) => template.toChannel(subject) !== undefined)) return true;
    this.#complaints.warn('reply', {}, 'a call was ignored: its answer was to go where no answers belong');
    return false;
  }

  /** The connection for a library that subscribes and answers by itself: it hears only what it may answer. */
  guard(connection: NatsConnection): NatsConnection {
    const subscribe = (subject: string, options: SubscriptionOptions = {}) => {
      const { callback } = options;
      if (callback === undefined) return connection.subscribe(subject, options);
      const guarded = (error: Error | null, message: Msg) => {
        if (error !== null || this.accepts(message.reply)) callback(error, message);
      };
      return connection.subscribe(subject, { ...options, callback: guarded });
    };
    return Object.create(connection, { subscribe: { value: subscribe } });
  }
}
