import type { Clock } from '../clock.ts';
import type { Bus } from '../cluster/bus.ts';
import { COORDINATOR } from '../cluster/calls.ts';
import type { Incoming } from '../cluster/listener.ts';
import type { Peers } from '../cluster/peers.ts';
import { Complaints, type Logger } from '../log.ts';
import { audit } from './audit.ts';
import { readCaller } from './caller.ts';
import { readInput } from './input.ts';
import { type Caller, ControlError, type Served } from './operation.ts';
import { type Outcome, type Refusal, toRefusal } from './outcome.ts';
import { type AnySpread, takePart } from './parts.ts';
import { readObject } from './payload.ts';

export interface ResponderOptions {
  /** Begins the subjects: `<prefix>.control.<operation>`. */
  readonly prefix: string;
  readonly bus: Bus;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly log: Logger;
  readonly operations: readonly Served[];
}

/** Most that are being answered; only what waits for JetStream takes longer than its turn. */
const MAX_UNDER_WAY = 10_000;

/**
 * This instance's part in operations that every instance has a part in. An instance that coordinates one asks for it; anybody
 * else who may publish there sends a command, and hears from each instance by itself. docs/revocation.md describes these.
 */
export class Responder {
  /** Commands by operation, or by why they were refused. */
  readonly commands = new Map<string, number>();
  readonly #options: ResponderOptions;
  readonly #complaints: Complaints;
  readonly #underWay = new Set<Promise<void>>();
  #endings: readonly (() => void)[] = [];

  constructor(options: ResponderOptions) {
    this.#options = options;
    this.#complaints = new Complaints(options.log, options.clock);
  }

  start(): void {
    const { prefix, bus, operations } = this.#options;
    const spread = operations.filter((served) => 'each' in served);
    this.#endings = spread.map((served) =>
      bus.listen(`${prefix}.control.${served.spec.name}`, (...message) => this.#hear(served, ...message)),
    );
  }

  /** Hears nothing more, and finishes what is under way. */
  async stop(): Promise<void> {
    for (const end of this.#endings) end();
    this.#endings = [];
    await Promise.all(this.#underWay);
  }

  #hear(served: AnySpread, payload: Uint8Array, message: Incoming): void {
    const { peers, clock } = this.#options;
    const header = (name: string) => message.header(name);
    // The one that asks sees to its own part without NATS.
    if (header(COORDINATOR) === peers.own.instance) return;
    const caller = readCaller(header, peers);
    const startMs = clock.now();
    const { input, outcome } = this.#handle(served, payload, caller);
    const handled = outcome.then((told) => {
      this.#underWay.delete(handled);
      message.answer(this.#toText(served, told));
      this.#note(served, { caller, input, outcome: told, durationMs: clock.now() - startMs });
    });
    this.#underWay.add(handled);
  }

  /** Acts before it waits for anything; `outcome` never rejects. Of what is refused there is no `input`. */
  #handle(served: AnySpread, payload: Uint8Array, caller: Caller) {
    const { log } = this.#options;
    const { spec } = served;
    try {
      if (this.#underWay.size >= MAX_UNDER_WAY)
        throw new ControlError('CONTROL_BUSY', `${MAX_UNDER_WAY} commands are under way`);
      const input = readInput(spec, readObject(payload, spec.maxBytes));
      return { input, outcome: takePart(served, input, caller, log) };
    } catch (error) {
      const refused: Outcome = { ok: false, error: toRefusal(error, spec.name, log) };
      return { input: undefined, outcome: Promise.resolve(refused) };
    }
  }

  #toText({ spec }: AnySpread, outcome: Outcome): string {
    const { bus, peers } = this.#options;
    const { instance } = peers.own;
    const text = JSON.stringify(
      outcome.ok ? { instance, ok: true, ...outcome.answer } : { instance, ...outcome },
    );
    const bytes = Buffer.byteLength(text);
    const maxBytes = bus.maxPayloadBytes ?? Number.POSITIVE_INFINITY;
    if (bytes <= maxBytes) return text;
    const message = `${spec.name}: the answer has ${bytes} bytes, and NATS takes ${maxBytes}`;
    this.#complaints.error(spec.name, { operation: spec.name, bytes, maxBytes }, 'an answer is too large');
    return JSON.stringify({ instance, ok: false, error: { code: 'CONTROL_FAILED', message } });
  }

  #note({ spec }: AnySpread, noted: Omit<Parameters<typeof audit>[2], 'spec'>): void {
    const { caller, outcome } = noted;
    const isCommand = caller.via === 'command';
    if (isCommand) this.#count(outcome.ok ? spec.name : outcome.error.code);
    if (outcome.ok) audit(this.#options.log, isCommand ? 'info' : 'debug', { spec, ...noted });
    else if (isCommand) this.#refused(spec.name, outcome.error);
  }

  // Who may publish there may do so as often as they like, and need not know what they do.
  #refused(operation: string, { code, message: detail }: Refusal): void {
    const kind = `${operation} ${code}`;
    this.#complaints.warn(kind, { operation, code, detail }, 'a command was refused');
  }

  #count(result: string): void {
    this.commands.set(result, (this.commands.get(result) ?? 0) + 1);
  }
}
