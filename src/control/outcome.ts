import { messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { ControlCode } from './codes.ts';
import { ControlError } from './operation.ts';

/** What became of a call. Becomes JSON as it is: it crosses processes. */
export type Outcome =
  | { readonly ok: true; readonly answer: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly error: Refusal };

export interface Refusal {
  readonly code: ControlCode;
  /** For who called. */
  readonly message: string;
}

/** Why it was refused. What nobody foresaw is logged, and not told. */
export function toRefusal(error: unknown, operation: string, log: Logger): Refusal {
  if (error instanceof ControlError) return { code: error.code, message: error.message };
  const detail = error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
  log.error({ operation, error: detail }, 'a call of the control plane failed');
  return { code: 'CONTROL_FAILED', message: 'see the log of this instance' };
}
