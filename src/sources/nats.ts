import { readFileSync } from 'node:fs';
import {
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  errors,
  headers,
  type MsgHdrs,
  type NatsConnection,
  nkeyAuthenticator,
  type Status,
} from '@nats-io/transport-node';
import type { Clock } from '../clock.ts';
import type { Config } from '../config/schema.ts';
import { messageOf, SidestreamError } from '../errors.ts';
import { Complaints, type Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { guardReadLoop, limitHeaders } from './client-guards.ts';

/** What follows the connection to NATS. */
export interface NatsListener {
  /** A connection that holds none of our subscriptions yet: the first, or one after the client gave up the last. */
  connected(connection: NatsConnection): void;
  /** The connection was lost; what is published from now on is missed. */
  disconnected?(): void;
  /** The server reported an error that concerns no one subscription that it names. */
  refused?(error: Error): void;
  /** The connection was lost and is back; the client has restored the subscriptions, what was published meanwhile is gone. */
  reconnected(): void;
}

export interface NatsLinkOptions {
  readonly clock: Clock;
  readonly config: Config['nats'];
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Told in this order. */
  readonly listeners: readonly NatsListener[];
}

/** Waits between attempts to make the first connection, in milliseconds; the last one repeats. */
const FIRST_CONNECT_WAITS_MS = [100, 250, 500, 1000, 2000];
const RECONNECT_WAIT_MS = 500;
const RECONNECT_JITTER_MS = 1000;

/** The one connection to NATS: made when it can be, kept for ever. */
export class NatsLink {
  readonly #options: NatsLinkOptions;
  readonly #connectionOptions: ConnectionOptions;
  readonly #complaints: Complaints;
  readonly #stopped = new AbortController();
  /** One for all attempts: each would leave a listener behind otherwise. */
  readonly #aborted = new Promise<undefined>((resolve) => {
    this.#stopped.signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  #connection: NatsConnection | undefined;
  #everConnected = false;
  #running: Promise<void> = Promise.resolve();

  /** @throws SidestreamError NATS_OPTIONS_INVALID — a credential or certificate file is unreadable or malformed */
  constructor(options: NatsLinkOptions) {
    this.#options = options;
    this.#complaints = new Complaints(options.log, options.clock);
    this.#connectionOptions = connectionOptions(options.config);
    limitHeaders();
  }

  /** Whether there has been a connection: before, no channel can be fed. */
  get ready(): boolean {
    return this.#everConnected;
  }

  /** Begins connecting; returns at once. */
  start(): void {
    this.#running = this.#run();
  }

  /**
   * Asks a service. Rejects where nobody listens on the subject, no answer comes in time, or there is no connection.
   * The answer's bytes are the caller's.
   */
  async request(
    subject: string,
    payload: Uint8Array,
    timeoutMs: number,
    fields: Readonly<Record<string, string>> = {},
  ): Promise<Uint8Array> {
    const connection = this.#connection;
    if (connection === undefined || connection.isClosed()) throw new Error('there is no connection to NATS');
    const answer = await connection.request(subject, payload, {
      timeout: timeoutMs,
      ...(Object.keys(fields).length > 0 && { headers: toHeaders(fields) }),
    });
    return Uint8Array.from(answer.data);
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#connection?.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let attempt = 0; !this.#stopped.signal.aborted; attempt += 1) {
      try {
        const connection = await this.#connect();
        if (connection === undefined) return;
        attempt = -1;
        await this.#serve(connection);
      } catch (error) {
        this.#complain(error);
      }
      await this.#wait(FIRST_CONNECT_WAITS_MS[Math.min(attempt, FIRST_CONNECT_WAITS_MS.length - 1)] ?? 0);
    }
  }

  #complain(error: unknown): void {
    const { log, metrics } = this.#options;
    const fields = { servers: this.#servers, error: messageOf(error) };
    const refused =
      error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError;
    metrics.natsError(refused ? 'authorization' : 'connect');
    if (refused) log.error(fields, 'NATS refuses the credentials of nats.auth; trying again');
    else log.warn(fields, 'NATS is not reachable; trying again');
  }

  // A server that accepts and then says nothing is given up after 20 s: the end of the process must not wait for that.
  async #connect(): Promise<NatsConnection | undefined> {
    const connecting = connect(this.#connectionOptions);
    const connection = await Promise.race([connecting, this.#aborted]);
    if (connection !== undefined) return connection;
    connecting.then(
      (late) => late.close(),
      () => {
        // ConnectionError, TimeoutError: nobody waits for this connection any more.
      },
    );
    return undefined;
  }

  /** Follows one connection until it is closed for good. */
  async #serve(connection: NatsConnection): Promise<void> {
    const { log, metrics, listeners } = this.#options;
    this.#connection = connection;
    guardReadLoop(connection, (error) => this.#threw(error));
    if (this.#stopped.signal.aborted) return connection.close();
    this.#everConnected = true;
    metrics.natsConnected = true;
    log.info({ server: connection.getServer(), version: connection.info?.version }, 'connected to NATS');
    for (const listener of listeners) listener.connected(connection);
    for await (const status of connection.status()) this.#follow(status);
    const error = await connection.closed();
    metrics.natsConnected = false;
    for (const listener of listeners) listener.disconnected?.();
    if (this.#stopped.signal.aborted) return;
    metrics.natsDisconnects += 1;
    log.error(
      { error: error === undefined ? undefined : messageOf(error) },
      'the NATS client closed the connection; connecting anew',
    );
  }

  #follow(status: Status): void {
    const { log, metrics, listeners } = this.#options;
    switch (status.type) {
      case 'disconnect':
        metrics.natsConnected = false;
        metrics.natsDisconnects += 1;
        if (!this.#stopped.signal.aborted)
          log.warn({ server: status.server }, 'lost the connection to NATS; streams stay open');
        for (const listener of listeners) listener.disconnected?.();
        return;
      case 'reconnect':
        metrics.natsConnected = true;
        metrics.natsReconnects += 1;
        log.info({ server: status.server }, 'connected to NATS again');
        for (const listener of listeners) listener.reconnected();
        return;
      case 'error':
        metrics.natsError(status.error.name);
        this.#report(status.error);
        for (const listener of listeners) listener.refused?.(status.error);
        return;
      case 'staleConnection':
        log.warn('NATS does not answer pings');
        return;
      default:
        log.debug({ status: status.type }, 'NATS status');
    }
  }

  #threw(error: unknown): void {
    const fields = { error: messageOf(error) };
    this.#complaints.warn('threw', fields, 'the NATS client threw at a message, which is lost');
  }

  // A browser picks the channel, and so the subject that NATS may refuse: it must not fill the log.
  #report(error: Error): void {
    this.#complaints.warn(error.name, { error: error.message }, 'NATS reported an error');
  }

  get #servers(): string[] {
    return [...this.#options.config.servers];
  }

  async #wait(delayMs: number): Promise<void> {
    const { signal } = this.#stopped;
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, delayMs);
      function done() {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      }
      signal.addEventListener('abort', done);
    });
  }
}

function toHeaders(fields: Readonly<Record<string, string>>): MsgHdrs {
  const made = headers();
  for (const [name, value] of Object.entries(fields)) made.set(name, value);
  return made;
}

function connectionOptions({ servers, name, auth, tls, pingIntervalMs }: Config['nats']): ConnectionOptions {
  return {
    servers: [...servers],
    name,
    pingInterval: pingIntervalMs,
    maxPingOut: 2,
    // Once connected, never give up: every stream depends on it.
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_WAIT_MS,
    reconnectJitter: RECONNECT_JITTER_MS,
    reconnectJitterTLS: RECONNECT_JITTER_MS,
    ignoreAuthErrorAbort: true,
    noAsyncTraces: true,
    ...(auth.token !== undefined && { token: auth.token }),
    ...(auth.user !== undefined && { user: auth.user }),
    ...(auth.password !== undefined && { pass: auth.password }),
    ...(auth.credsFile !== undefined && { authenticator: credsAuthenticator(secretFile(auth.credsFile)) }),
    ...(auth.nkeySeedFile !== undefined && { authenticator: nkeyAuthenticator(seed(auth.nkeySeedFile)) }),
    // Without this option the client would take a plain connection where it is asked for `tls://`, password and all.
    ...((tls !== undefined || servers.some((server) => server.startsWith('tls:'))) && { tls: { ...tls } }),
  };
}

/** An nkey file holds the seed on a line of its own, among comments perhaps. */
function seed(file: string): Uint8Array {
  const line = Buffer.from(secretFile(file))
    .toString('utf8')
    .split(/\r?\n/)
    .find((text) => /^S[A-Z2-7]{50,}$/.test(text.trim()));
  if (line === undefined) {
    throw new SidestreamError(
      'NATS_OPTIONS_INVALID',
      `nats.auth.nkeySeedFile ${file} holds no seed (a line that begins with S)`,
    );
  }
  return Buffer.from(line.trim());
}

function secretFile(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new SidestreamError('NATS_OPTIONS_INVALID', `cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
}
