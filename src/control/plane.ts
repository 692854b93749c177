import type { NatsConnection } from '@nats-io/transport-node';
import { z } from 'zod';
import type { Clock, TimerWheel } from '../clock.ts';
import type { Bus } from '../cluster/bus.ts';
import { Calls } from '../cluster/calls.ts';
import type { Peers } from '../cluster/peers.ts';
import { Complaints, type Logger } from '../log.ts';
import { traceFields } from '../tracing/trace-context.ts';
import { audit } from './audit.ts';
import { callerHeaders } from './caller.ts';
import { Gate } from './gate.ts';
import { readInput } from './input.ts';
import { type Caller, ControlError, type Served, type Spread } from './operation.ts';
import { type Outcome, toRefusal } from './outcome.ts';
import { type AnySpread, readParts, takePart } from './parts.ts';
import { readObject } from './payload.ts';
import { Responder } from './responder.ts';
import { Service } from './service.ts';

export interface PlaneOptions {
  readonly prefix: string;
  /** How long other instances are waited for, in milliseconds. */
  readonly deadlineMs: number;
  /** Whether the operations are offered as a NATS service. */
  readonly api: boolean;
  /** Of the software. */
  readonly version: string;
  readonly operations: readonly Served[];
  /** What every instance does for an operation that one of them runs; nobody else calls it. */
  readonly parts: readonly Served[];
  readonly bus: Bus;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly log: Logger;
}

/** What a call brings: bytes, or an object that was read already. */
export type CallPayload = Uint8Array | Readonly<Record<string, unknown>>;

export interface CallCount {
  readonly operation: string;
  /** `ok`, or why it was refused. */
  readonly outcome: string;
  count: number;
}

const MAX_UNDER_WAY = 64;
const MAX_WAITING = 1000;
/** Of payloads of all calls that are under way or wait. What they become as objects may be twenty times as much. */
const MAX_HELD_BYTES = 32 * 1024 * 1024;
/** Of a question to the others, besides what it says of who calls. */
const HEADER_BYTES = 128;

/**
 * The operations, whoever calls them: checked, bounded, spread over the instances where they have a part in it, and audited. There
 * is one answer, from here.
 */
export class Plane {
  readonly operations: readonly Served[];
  /** Calls that were answered from here. */
  readonly calls = new Map<string, CallCount>();
  readonly #complaints: Complaints;
  readonly #options: PlaneOptions;
  readonly #served: ReadonlyMap<string, Served>;
  readonly #gate = new Gate({ underWay: MAX_UNDER_WAY, waiting: MAX_WAITING, bytes: MAX_HELD_BYTES });
  readonly #calls: Calls;
  readonly #responder: Responder;
  readonly #service: Service | undefined;

  constructor(options: PlaneOptions) {
    this.#options = options;
    this.#complaints = new Complaints(options.log, options.clock);
    this.operations = options.operations;
    this.#served = new Map(options.operations.map((served) => [served.spec.name, served]));
    this.#calls = new Calls(options);
    this.#responder = new Responder({ ...options, operations: [...options.operations, ...options.parts] });
    this.#service = options.api ? this.#offered() : undefined;
  }

  start(): void {
    this.#calls.start();
    this.#responder.start();
  }

  connected(connection: NatsConnection): void {
    this.#service?.connected(this.#options.bus.guarded(connection));
  }

  reconnected(): void {
    this.#service?.reconnected();
  }

  async stop(): Promise<void> {
    this.#service?.stop();
    this.#calls.stop();
    await this.#responder.stop();
  }

  /** Commands heard here, by operation or by why they were refused. */
  get commands(): ReadonlyMap<string, number> {
    return this.#responder.commands;
  }

  /** Calls that have not begun, because as many as may be are under way. */
  get waiting(): number {
    return this.#gate.waiting;
  }

  /** Never rejects. Every call is counted, and what acts or publishes has its line in the log, whether done or refused. */
  async call(name: string, payload: CallPayload, caller: Caller): Promise<Outcome> {
    const { clock, log } = this.#options;
    const startMs = clock.now();
    const served = this.#served.get(name);
    if (served === undefined) {
      this.#count('unknown', 'CONTROL_UNKNOWN');
      const message = 'there is no such operation';
      return { ok: false, error: { code: 'CONTROL_UNKNOWN', message } };
    }
    const { input, outcome: concluding } = this.#begin(served, payload, caller);
    const outcome = await concluding;
    const { spec } = served;
    this.#count(name, outcome.ok ? 'ok' : outcome.error.code);
    if (outcome.ok || outcome.error.code !== 'CONTROL_BUSY')
      audit(log, 'info', { spec, caller, input, outcome, durationMs: clock.now() - startMs });
    else {
      const fields = { operation: name, via: caller.via, ...traceFields(caller.trace) };
      this.#complaints.warn(name, fields, 'calls are refused: too many');
    }
    return outcome;
  }

  /** Has every instance do its part of an operation that this one runs. @throws ControlError */
  async ask<I, P, O>(what: Spread<I, P, O>, input: I, caller: Caller): Promise<O> {
    return (await this.#spread(what as unknown as AnySpread, input as object, input, caller)) as O;
  }

  #offered(): Service {
    const { peers, operations, prefix, version, wheel, log } = this.#options;
    return new Service({
      prefix,
      version,
      wheel,
      log,
      instance: peers.own.instance,
      specs: operations.map(({ spec }) => spec),
      settlesInMs: () => peers.settlesInMs,
      call: (...call) => this.call(...call),
    });
  }

  /** `outcome` never rejects. Of a call that is not understood there is no `input`. */
  #begin(served: Served, payload: CallPayload, caller: Caller) {
    const { spec } = served;
    const failed = (error: unknown): Outcome => ({
      ok: false,
      error: toRefusal(error, spec.name, this.#options.log),
    });
    try {
      const object = payload instanceof Uint8Array ? fromBytes(payload, spec.maxBytes) : payload;
      const input = readInput(spec, object);
      const bytes = payload instanceof Uint8Array ? payload.length : 0;
      const answer = this.#gate.pass(() => this.#run(served, object, input, caller), bytes);
      if (answer === undefined)
        throw new ControlError('CONTROL_BUSY', 'too much waits already; try again in a moment');
      return { input, outcome: answer.then(succeeded, failed) };
    } catch (error) {
      return { input: undefined, outcome: Promise.resolve(failed(error)) };
    }
  }

  async #run(served: Served, object: object, input: unknown, caller: Caller): Promise<unknown> {
    return 'run' in served ? served.run(input, caller) : this.#spread(served, object, input, caller);
  }

  async #spread(served: AnySpread, object: object, input: unknown, caller: Caller): Promise<unknown> {
    const { peers, log } = this.#options;
    await this.#settled();
    served.check?.(input);
    const known = peers.all.map(({ instance }) => instance);
    const payload = Buffer.from(JSON.stringify(object));
    const headers = callerHeaders(caller);
    this.#checkSize(payload, headers);
    const asked = this.#calls.gather(served.spec.name, payload, headers);
    const [own, others] = await Promise.all([takePart(served, input, caller, log), asked]);
    const parts = readParts(served, peers.own.instance, own, others);
    const answered = parts.map(({ instance }) => instance).sort();
    const missing = known.filter((instance) => !answered.includes(instance));
    const merged = served.merge(parts, input, missing);
    return { ...(merged as object), instances: { answered, missing } };
  }

  // Otherwise it would be done here alone.
  #checkSize({ length }: Uint8Array, headers: Readonly<Record<string, string>>): void {
    const { maxPayloadBytes = Number.POSITIVE_INFINITY } = this.#options.bus;
    const fields = Buffer.byteLength(JSON.stringify(headers));
    if (length + fields + HEADER_BYTES <= maxPayloadBytes) return;
    const message = `${length} bytes are too many to be passed on: NATS takes ${maxPayloadBytes}, headers included`;
    throw new ControlError('CONTROL_TOO_LARGE', message);
  }

  // An instance that has just come would not know whom to ask, and leave the others out without a word.
  async #settled(): Promise<void> {
    const { settlesInMs } = this.#options.peers;
    if (settlesInMs > 0) await new Promise((resolve) => setTimeout(resolve, settlesInMs));
  }

  #count(operation: string, outcome: string): void {
    const key = `${operation} ${outcome}`;
    const counted = this.calls.get(key);
    if (counted === undefined) this.calls.set(key, { operation, outcome, count: 1 });
    else counted.count += 1;
  }
}

function succeeded(answer: unknown): Outcome {
  return { ok: true, answer: answer as Readonly<Record<string, unknown>> };
}

/** `nats req` sends nothing where there is nothing to say. */
function fromBytes(payload: Uint8Array, maxBytes: number | undefined): Readonly<Record<string, unknown>> {
  return payload.length === 0 ? {} : readObject(payload, maxBytes);
}

/** What an answer of an operation that fans out has besides its own fields. */
export const INSTANCES = z.strictObject({ answered: z.array(z.string()), missing: z.array(z.string()) });
