import { type ConnectionOptions, connect, type NatsConnection } from '@nats-io/transport-node';
import { onTestFinished } from 'vitest';
import { type Identity, toIdentity } from '../../src/auth/identity.ts';
import { Revocations } from '../../src/auth/revocations.ts';
import { systemClock, TICK_MS, TimerWheel } from '../../src/clock.ts';
import { Bus } from '../../src/cluster/bus.ts';
import { Peers } from '../../src/cluster/peers.ts';
import { disconnectOperations } from '../../src/control/disconnect.ts';
import { Plane } from '../../src/control/plane.ts';
import { revokeOperations } from '../../src/control/revocation/revoke.ts';
import { Revoker, type RevokerOptions } from '../../src/control/revocation/revoker.ts';
import { createLog } from '../../src/log.ts';
import type { NatsServer } from '../support/nats-server.ts';
import { PATIENCE_MS, poll } from '../support/poll.ts';

export const BUCKET = 'sidestream_revocations';
export const HOUR_MS = 3_600_000;

interface TestStream {
  readonly id: string;
  readonly identity: Identity | undefined;
}

/** Streams that are open until they are ended. */
export class TestStreams {
  readonly open: TestStream[] = [];
  /** `reason id`, in their order. */
  readonly ended: string[] = [];
  /** Called before anything ends. */
  onEnd: () => void = () => {};

  /** Opens one with a token that was issued at `iat`, by default a minute ago. */
  add(id: string, claims?: Readonly<Record<string, unknown>>): void {
    const identity = claims === undefined ? undefined : issued(claims);
    this.open.push({ id, identity });
  }

  end(reason: 'revoked' | 'disconnected', matches: (stream: TestStream) => boolean): number {
    this.onEnd();
    const ending = this.open.filter(matches);
    for (const stream of ending) {
      this.open.splice(this.open.indexOf(stream), 1);
      this.ended.push(`${reason} ${stream.id}`);
    }
    return ending.length;
  }

  get ids(): string[] {
    return this.open.map(({ id }) => id);
  }
}

/** The identity of a token that was issued a minute ago, where the claims say nothing else. */
export function issued(claims: Readonly<Record<string, unknown>>): Identity {
  return toIdentity({ iat: Math.floor(systemClock.wall() / 1000) - 60, ...claims });
}

export interface Running {
  readonly control: RunningControl;
  readonly streams: TestStreams;
  readonly revocations: Revocations;
  readonly connection: NatsConnection;
  readonly lines: { readonly message: string; readonly level: string; readonly [field: string]: unknown }[];
  /** Whether a token with these claims is refused. */
  refuses(claims: Readonly<Record<string, unknown>>): boolean;
  logged(message: string): number;
}

/** What an instance hears and remembers, followed as the bridge does. */
class RunningControl {
  readonly #revoker: Revoker;
  readonly #plane: Plane;
  readonly #bus: Bus;
  readonly #wheel = new TimerWheel(systemClock);
  readonly #ticking = setInterval(() => this.#wheel.advance(), TICK_MS);

  constructor({ prefix, streams, ...options }: TestControlOptions) {
    const { instance, log, clock, revocationTtlMs } = options;
    this.#revoker = new Revoker({ ...options, streams });
    this.#bus = new Bus(log);
    const own = { instance, host: 'here', version: '0.0.0', startedMs: 0 };
    const shared = { prefix, bus: this.#bus, clock, wheel: this.#wheel, log };
    const revoker = this.#revoker;
    const operations = [
      ...revokeOperations({ revoker, revocationTtlMs, clock }),
      ...disconnectOperations({
        isServed: () => true,
        live: {
          disconnect: (whose) =>
            streams.end('disconnected', ({ id, identity }) =>
              'user' in whose
                ? identity?.subject === whose.user
                : 'connection' in whose && id === whose.connection,
            ),
        },
      }),
    ];
    const peers = new Peers({ ...shared, own });
    this.#plane = new Plane({
      ...shared,
      peers,
      operations,
      parts: [],
      api: false,
      version: '0',
      deadlineMs: 1000,
    });
    this.#plane.start();
  }

  get counts(): Revoker['counts'] {
    return this.#revoker.counts;
  }

  /** Commands by operation, or by why they were refused. */
  get commands(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#plane.commands);
  }

  get persistent(): boolean {
    return this.#revoker.persistent;
  }

  get loaded(): Promise<void> {
    return this.#revoker.loaded;
  }

  connected(connection: NatsConnection): void {
    this.#bus.connected(connection);
    this.#revoker.connected(connection);
  }

  reconnected(): void {
    this.#bus.reconnected();
    this.#revoker.reconnected();
  }

  async stop(): Promise<void> {
    clearInterval(this.#ticking);
    await this.#plane.stop();
    this.#bus.stop();
    this.#revoker.stop();
  }
}

interface TestControlOptions extends Omit<RevokerOptions, 'streams'> {
  readonly prefix: string;
  readonly streams: TestStreams;
}

/**
 * One instance's control on a connection of its own, followed as the bridge does; gone when the test is over. `prepare` has
 * the connection first.
 */
export async function startControl(
  { url }: NatsServer,
  options: Partial<Omit<TestControlOptions, 'streams'>> = {},
  login: ConnectionOptions = {},
  prepare: (connection: NatsConnection) => void = () => {},
): Promise<Running> {
  const connection = await connect({
    servers: url,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 20,
    reconnectJitter: 0,
    ...login,
  });
  const lines: Running['lines'] = [];
  const revocations = options.revocations ?? new Revocations(options.clock ?? systemClock);
  const streams = new TestStreams();
  const control = new RunningControl({
    instance: 'one',
    prefix: 'sidestream',
    revocationTtlMs: HOUR_MS,
    requireJetStream: false,
    bucket: BUCKET,
    clock: systemClock,
    log: createLog({ level: 'info', format: 'json' }, { write: (line) => void lines.push(JSON.parse(line)) }),
    revocations,
    streams,
    ...options,
  });
  onTestFinished(async () => {
    await control.stop();
    await connection.close();
  });
  prepare(connection);
  control.connected(connection);
  void follow(connection, control);
  // What is sent from here on is heard.
  await connection.flush();
  return {
    control,
    streams,
    revocations,
    connection,
    lines,
    refuses: (claims) => revocations.isRevoked(issued(claims)),
    logged: (message) => lines.filter((line) => line.message === message).length,
  };
}

async function follow(connection: NatsConnection, control: RunningControl): Promise<void> {
  for await (const { type } of connection.status()) if (type === 'reconnect') control.reconnected();
}

/** Starts one whose revocations are kept in the bucket. */
export async function startPersistent(...args: Parameters<typeof startControl>): Promise<Running> {
  const running = await startControl(...args);
  await persistent(running);
  return running;
}

export async function persistent({ control }: Running): Promise<void> {
  await poll('the bucket to be open', () => control.persistent);
}

/** Sends a command as `nats req --replies=N` does; gives the answers. */
export async function command(
  connection: NatsConnection,
  operation: 'revoke' | 'disconnect',
  payload: unknown,
  replies = 1,
): Promise<Record<string, unknown>[]> {
  const data =
    typeof payload === 'string' || payload instanceof Uint8Array ? payload : JSON.stringify(payload);
  const options = { strategy: 'count', maxMessages: replies, maxWait: PATIENCE_MS } as const;
  const answers: Record<string, unknown>[] = [];
  const subject = `sidestream.control.${operation}`;
  for await (const message of await connection.requestMany(subject, data, options))
    answers.push(message.json());
  return answers;
}
