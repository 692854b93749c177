import type { ControlCode } from './codes.ts';
import { ControlError } from './operation.ts';

/** The refusal where no instance that answered has what is meant; says how many did not answer, which may have it. `what` ends the sentence. */
export function notFound(code: ControlCode, what: string, missing: readonly string[]): ControlError {
  const silent = missing.length === 0 ? '' : `; ${missing.length} did not answer`;
  return new ControlError(code, `no instance that answered has ${what}${silent}`);
}
