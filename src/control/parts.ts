import type { Answered } from '../cluster/calls.ts';
import type { Logger } from '../log.ts';
import { CONTROL_CODES, type ControlCode } from './codes.ts';
import { type Caller, ControlError, type Part, type Spread } from './operation.ts';
import { type Outcome, toRefusal } from './outcome.ts';

export type AnySpread = Spread<unknown, unknown, unknown>;

/** Of these an instance that answers has no part in the answer, as if it had not: it could not, and others can. */
const UNABLE: ReadonlySet<ControlCode> = new Set(['CONTROL_FAILED', 'CONTROL_BUSY', 'CONTROL_UNAVAILABLE']);

/** What this instance does of an operation. Never rejects. Acts before it waits for anything. */
export async function takePart(
  served: AnySpread,
  input: unknown,
  caller: Caller,
  log: Logger,
): Promise<Outcome> {
  const refused = (error: unknown) => toRefusal(error, served.spec.name, log);
  try {
    served.check?.(input);
  } catch (error) {
    const { code, message } = refused(error);
    // Who coordinates it knows better, or would not have asked.
    const isAsked = caller.coordinator !== undefined;
    return { ok: false, error: { code: isAsked ? 'CONTROL_UNAVAILABLE' : code, message } };
  }
  try {
    const part = await served.each(input, caller);
    return { ok: true, answer: part as Readonly<Record<string, unknown>> };
  } catch (error) {
    return { ok: false, error: refused(error) };
  }
}

/**
 * What the instances answered, checked. Those whose answers are none, or who were not able to, are left out.
 * @throws ControlError what one of them refuses, or, where nobody has a part, why this instance has none
 */
export function readParts(
  served: AnySpread,
  instance: string,
  own: Outcome,
  others: readonly Answered[],
): readonly Part<unknown>[] {
  if (!own.ok && !UNABLE.has(own.error.code)) throw new ControlError(own.error.code, own.error.message);
  const parts = others.flatMap((answered) => readAnswer(served, answered));
  if (own.ok) return [{ instance, part: own.answer }, ...parts];
  if (parts.length === 0) throw new ControlError(own.error.code, own.error.message);
  return parts;
}

function readAnswer({ part }: AnySpread, { instance, answer }: Answered): readonly Part<unknown>[] {
  const { ok, instance: _, error, ...fields } = answer;
  if (ok !== true) return refusedBy(instance, error);
  const read = part.safeParse(fields);
  return read.success ? [{ instance, part: read.data }] : [];
}

function refusedBy(instance: string, error: unknown): [] {
  const { code, message }: { code?: unknown; message?: unknown } = { ...(error as object | undefined) };
  if (typeof code !== 'string' || !isCode(code) || UNABLE.has(code)) return [];
  throw new ControlError(code, `${String(message)} (instance ${instance})`);
}

function isCode(code: string): code is ControlCode {
  return Object.hasOwn(CONTROL_CODES, code);
}
