import type { NatsServer } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';

/** An event as a backend gets it. */
export interface Told {
  /** What its subject has behind `sidestream.event.`. */
  readonly name: string;
  readonly [field: string]: unknown;
}

/** A backend that hears all events. */
export class Backend {
  /** In the order in which they came. */
  readonly told: Told[] = [];

  /** Those of one name, which begins so. */
  named(name: string): Told[] {
    return this.told.filter((event) => event.name.startsWith(name));
  }

  /** Waits for an event with these fields. */
  async heard(name: string, fields: Readonly<Record<string, unknown>> = {}): Promise<Told> {
    const wanted = Object.entries({ name, ...fields });
    return poll(`${name} ${JSON.stringify(fields)}`, () =>
      this.told.find((event) => wanted.every(([field, value]) => event[field] === value)),
    );
  }
}

export async function startBackend(nats: NatsServer): Promise<Backend> {
  const backend = new Backend();
  const { connection } = await startPublisher(nats);
  connection.subscribe('sidestream.event.>', {
    callback: (_, message) => {
      backend.told.push({
        name: message.subject.replace('sidestream.event.', ''),
        ...message.json<object>(),
      });
    },
  });
  await connection.flush();
  return backend;
}
