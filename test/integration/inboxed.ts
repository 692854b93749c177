import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { headers, RequestError } from '@nats-io/transport-node';
import { startBridge, type TestBridge } from '../support/bridge.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { type Publisher, startPublisher } from '../support/publisher.ts';
import type { StreamClient } from '../support/stream-client.ts';
import { AUTH, bearer, signed } from './protected.ts';

/** What an inbox answers. */
export interface InboxAnswer {
  readonly status: number;
  readonly channel?: string;
  readonly unread?: number;
  readonly more?: true;
  readonly through?: string;
  readonly next?: string;
  readonly list?: readonly { readonly id: string; readonly data: string; readonly priority: string }[];
  readonly error?: { readonly code: string; readonly message: string };
}

export const ROUTES = {
  notifications: {
    channel: 'user-{id}',
    subject: 'notify.{id}',
    stream: 'NOTIFY',
    inbox: true,
    access: { where: { id: '{claims.sub}' } },
  },
  open: { channel: 'open', subject: 'open', access: 'public' },
};

/** Bridges on one NATS with a stream of notifications; user 42 is who asks. */
export class Inboxed {
  readonly nats: NatsServer;
  readonly publisher: Publisher;

  constructor(nats: NatsServer, publisher: Publisher) {
    this.nats = nats;
    this.publisher = publisher;
  }

  /** Publishes to a user; gives the message's sequence. */
  async notify(data: string, fields: Readonly<Record<string, string>> = {}, user = '42'): Promise<number> {
    const block = headers();
    for (const [name, value] of Object.entries(fields)) block.set(name, value);
    const options = Object.keys(fields).length === 0 ? {} : { headers: block };
    return (await jetstream(this.publisher.connection).publish(`notify.${user}`, data, options)).seq;
  }

  async makeStream(): Promise<void> {
    const jsm = await jetstreamManager(this.publisher.connection);
    await jsm.streams.add({ name: 'NOTIFY', subjects: ['notify.>'] });
  }

  async deleteStream(name: string): Promise<void> {
    await (await jetstreamManager(this.publisher.connection)).streams.delete(name);
  }

  bridge(config: object = {}, routes: object = ROUTES): Promise<TestBridge> {
    const channels = routes as Readonly<Record<string, unknown>>;
    return startBridge({ nats: this.nats, config: { auth: AUTH, ...config, channels } });
  }

  /** Calls the control plane over NATS. */
  async control(operation: string, input: object): Promise<Omit<InboxAnswer, 'status'>> {
    const subject = `sidestream.api.${operation}`;
    const { connection } = this.publisher;
    const answer = await poll(`an answer to ${subject}`, async () => {
      try {
        return await connection.request(subject, JSON.stringify(input), { timeout: 5000 });
      } catch (error) {
        // The service is offered a moment after the instance is ready.
        if (error instanceof RequestError) return undefined;
        throw error;
      }
    });
    return answer.json();
  }
}

export async function startInboxed(): Promise<Inboxed> {
  const nats = await startNats({ jetStream: true });
  const inboxed = new Inboxed(nats, await startPublisher(nats));
  await inboxed.makeStream();
  return inboxed;
}

/** Asks an inbox, or marks something as read. */
export async function inboxOf(
  bridge: TestBridge,
  ask: string | { readonly read: unknown } = '',
  {
    sub = '42',
    channel,
    claims = {},
  }: { readonly sub?: string; readonly channel?: string; readonly claims?: object } = {},
): Promise<InboxAnswer> {
  const { headers: authorization } = bearer(await signed({ sub, ...claims }));
  const url = `http://127.0.0.1:${bridge.httpPort}/events/${channel ?? `user-${sub}`}/inbox`;
  const init =
    typeof ask === 'string'
      ? { headers: authorization }
      : {
          method: 'POST',
          headers: { ...authorization, 'Content-Type': 'application/json' },
          body: JSON.stringify(ask),
        };
  const answer = await fetch(typeof ask === 'string' ? `${url}${ask}` : url, init);
  return { status: answer.status, ...((await answer.json()) as object) };
}

/** A stream of user 42's, and the counts that it is told. */
export async function openBadge(bridge: TestBridge, sub = '42') {
  const client = await bridge.stream(`/events/user-${sub}`, bearer(await signed({ sub })));
  return { client, count: (wanted: number) => countTo(client, wanted) };
}

/** Waits until a stream is told a count. */
export async function countTo(client: StreamClient, wanted: number): Promise<InboxAnswer> {
  const events = await client.until(
    ({ event, data }) => event === 'sidestream.unread' && JSON.parse(data).unread === wanted,
  );
  return JSON.parse(events.at(-1)?.data ?? '');
}
