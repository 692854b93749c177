import { connect as connectSocket } from 'node:net';
import { type ConnectionOptions, connect, headers, type NatsConnection } from '@nats-io/transport-node';
import { onTestFinished } from 'vitest';
import type { NatsServer } from './nats-server.ts';

/** A plain NATS client that is gone when the test is over. */
export class Publisher {
  readonly connection: NatsConnection;

  constructor(connection: NatsConnection) {
    this.connection = connection;
  }

  /** Publishes; resolves when the server has it. */
  async publish(
    subject: string,
    payload: string | Uint8Array = '',
    fields: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    this.send(subject, payload, fields);
    await this.connection.flush();
  }

  /** Publishes without waiting. */
  send(
    subject: string,
    payload: string | Uint8Array = '',
    fields: Readonly<Record<string, string>> = {},
  ): void {
    const block = headers();
    for (const [name, value] of Object.entries(fields)) block.set(name, value);
    this.connection.publish(subject, payload, Object.keys(fields).length === 0 ? {} : { headers: block });
  }
}

export async function startPublisher(
  { url }: NatsServer,
  options: ConnectionOptions = {},
): Promise<Publisher> {
  const connection = await connect({
    servers: url,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 20,
    ...options,
  });
  onTestFinished(() => connection.close());
  return new Publisher(connection);
}

/**
 * Publishes with a header block that a well-behaved client would refuse to send: `lines` are put between `NATS/1.0` and
 * the blank line as they are. NATS ADR-4.
 */
export async function publishRaw(
  { port }: NatsServer,
  subject: string,
  lines: string | Buffer,
  payload: string,
): Promise<void> {
  const head = Buffer.concat([Buffer.from('NATS/1.0\r\n'), Buffer.from(lines), Buffer.from('\r\n\r\n')]);
  const body = Buffer.concat([head, Buffer.from(payload)]);
  const socket = connectSocket({ host: '127.0.0.1', port });
  const options = JSON.stringify({
    verbose: false,
    pedantic: false,
    headers: true,
    lang: 'test',
    version: '0',
  });
  socket.write(`CONNECT ${options}\r\nHPUB ${subject} ${head.length} ${body.length}\r\n`);
  socket.write(body);
  socket.write('\r\nPING\r\n');
  await new Promise<void>((resolve, reject) => {
    let received = '';
    socket.on('error', reject);
    socket.on('data', (text: Buffer) => {
      received += text;
      if (received.includes('-ERR')) reject(new Error(received));
      if (received.includes('PONG')) resolve();
    });
  }).finally(() => socket.destroy());
}
