import type { z } from 'zod';
import type { TraceContext } from '../tracing/trace-context.ts';
import type { ControlCode } from './codes.ts';

/**
 * Who calls, as far as that is known: for the audit log. A `command` was not called but sent to every instance, over
 * `<prefix>.control.<operation>`.
 */
export interface Caller {
  readonly via: 'nats' | 'http' | 'command';
  /** The peer's, over HTTP. */
  readonly address?: string;
  /** What the caller says of itself (`Sidestream-Caller`); nobody checks it. */
  readonly name?: string;
  /** The instance that was called and asks this one for its part. */
  readonly coordinator?: string;
  /** What the caller says of its trace. */
  readonly trace?: TraceContext;
}

/** What an operation does: `read` changes nothing, `act` changes who gets what, `publish` says something. The last two are audited. */
export type OperationKind = 'read' | 'act' | 'publish';

/** One operation of the control plane, as NATS and HTTP offer it: `<prefix>.api.<name>` and `/api/<name>`. */
export interface Spec<I = unknown, O = unknown> {
  /** `[a-z][A-Za-z]*`. */
  readonly name: string;
  readonly kind: OperationKind;
  /** One sentence. */
  readonly summary: string;
  /** A strict object: unknown fields are refused. */
  readonly input: z.ZodType<I>;
  /** A strict object. */
  readonly output: z.ZodType<O>;
  /** Why it may be refused, besides what every call may be refused for. */
  readonly codes: readonly ControlCode[];
  /** Whether every instance has a part in it; the answer then has `instances` besides the output's own fields. */
  readonly fansOut?: true;
  /** Longest payload in bytes. Default: 16 KiB. */
  readonly maxBytes?: number;
  /** What it was done to, for the audit log: names and ids, never data. Absent for `read`. */
  target?(input: I): Readonly<Record<string, unknown>>;
}

/** What one instance has to say. */
export interface Part<P> {
  readonly instance: string;
  readonly part: P;
}

/** An operation that the instance that is called does by itself. */
export interface Single<I, O> {
  readonly spec: Spec<I, O>;
  /** @throws ControlError */
  run(input: I, caller: Caller): Promise<O> | O;
}

/** An operation that every instance has a part in. */
export interface Spread<I, P, O> {
  readonly spec: Spec<I, O>;
  /** What an instance answers, checked when it arrives. */
  readonly part: z.ZodType<P>;
  /**
   * Refuses, before anybody is asked, what this instance cannot have done. Instances may differ, as while a new config goes round: one
   * that is asked by another and would refuse counts as missing, and does nothing.
   * @throws ControlError
   */
  check?(input: I): void;
  /**
   * What this instance does and says.
   * @throws ControlError one that any instance throws refuses the whole call, though others may have acted: what is only unknown
   * here belongs into the part. Of CONTROL_FAILED, CONTROL_BUSY and CONTROL_UNAVAILABLE the instance counts as missing.
   */
  each(input: I, caller: Caller): Promise<P> | P;
  /** All that answered, as one; `missing` did not. @throws ControlError where together they mean a refusal, such as that nobody knows the connection */
  merge(parts: readonly Part<P>[], input: I, missing: readonly string[]): O;
}

/** An operation that can be called. */
export type Served = Single<unknown, unknown> | Spread<unknown, unknown, unknown>;

/** @see Single */
export function single<I, O>(spec: Spec<I, O>, run: Single<I, O>['run']): Served {
  return { spec, run };
}

/** @see Spread */
export function spread<I, P, O>(
  spec: Spec<I, O> & { readonly fansOut: true },
  how: Omit<Spread<I, P, O>, 'spec'>,
): Served {
  return { spec, ...how };
}

/** Why a call is refused. The message is for who called: names, types and bounds, never a secret. */
export class ControlError extends Error {
  readonly code: ControlCode;

  constructor(code: ControlCode, message: string) {
    super(message);
    this.code = code;
  }
}
