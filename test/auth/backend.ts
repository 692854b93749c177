import type { ConnectionOptions, Msg } from '@nats-io/transport-node';
import type { CalloutDeps } from '../../src/auth/callout.ts';
import type { NatsServer } from '../support/nats-server.ts';
import { startPublisher } from '../support/publisher.ts';

/** A backend that answers callouts over a connection of its own. */
export interface Backend {
  /** Every question, as its bytes came. */
  readonly asked: string[];
}

/** Answers one question by `msg.respond`, at once, later or never. */
export type Respond = (msg: Msg, question: Readonly<Record<string, unknown>>) => void;

/** Listens on `subject`; the backend is gone when the test is over. */
export async function startBackend(server: NatsServer, subject: string, respond: Respond): Promise<Backend> {
  const { connection } = await startPublisher(server);
  const asked: string[] = [];
  connection.subscribe(subject, {
    callback: (_, msg) => {
      asked.push(msg.string());
      respond(msg, msg.json());
    },
  });
  await connection.flush();
  return { asked };
}

/** What the callout is handed to ask with: a plain request over a real connection. */
export async function requestOver(
  server: NatsServer,
  options: ConnectionOptions = {},
): Promise<CalloutDeps['request']> {
  const { connection } = await startPublisher(server, options);
  return async (subject, payload, timeoutMs) => {
    const { data } = await connection.request(subject, payload, { timeout: timeoutMs });
    return data;
  };
}
