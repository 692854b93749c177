import { type ConnectionOptions, connect, type NatsConnection } from '@nats-io/transport-node';
import { onTestFinished } from 'vitest';
import { TicketBucket } from '../../src/control/revocation/ticket-bucket.ts';
import { createLog } from '../../src/log.ts';
import { ManualClock } from '../support/clock.ts';
import type { NatsServer } from '../support/nats-server.ts';

export const TICKET_BUCKET = 'sidestream_tickets';
export const TTL_MS = 140_000;

/** A client that is gone when the test is over. */
export async function connected({ url }: NatsServer, login: ConnectionOptions = {}): Promise<NatsConnection> {
  const connection = await connect({
    servers: url,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 20,
    reconnectJitter: 0,
    ...login,
  });
  onTestFinished(() => connection.close());
  return connection;
}

/** One instance's bucket on a connection of its own, followed as the bridge does. Its clock stands still. */
export async function startBucket(nats: NatsServer, login: ConnectionOptions = {}) {
  const connection = await connected(nats, login);
  const clock = new ManualClock();
  const lines: string[] = [];
  const errors: string[] = [];
  const log = createLog(
    { level: 'info', format: 'json' },
    {
      write: (line) => {
        const { message, error } = JSON.parse(line);
        lines.push(message);
        errors.push(error ?? '');
      },
    },
  );
  const bucket = new TicketBucket({ name: TICKET_BUCKET, ttlMs: TTL_MS, instance: 'one', clock, log });
  bucket.connected(connection);
  const statuses: string[] = [];
  const follow = async () => {
    for await (const { type } of connection.status()) {
      statuses.push(type);
      if (type === 'disconnect') bucket.disconnected();
      if (type === 'reconnect') bucket.reconnected();
    }
  };
  void follow();
  const logged = (message: string) => lines.filter((line) => line === message).length;
  return { bucket, connection, clock, lines, errors, statuses, logged };
}
