import type { Logger } from '../log.ts';
import { traceFields } from '../tracing/trace-context.ts';
import type { Caller, Spec } from './operation.ts';
import type { Outcome } from './outcome.ts';
import { printable, printableFields } from './printable.ts';

export interface Audited {
  readonly spec: Pick<Spec, 'name' | 'kind' | 'target'>;
  readonly caller: Caller;
  /** Absent where it could not be read. */
  readonly input: unknown;
  readonly outcome: Outcome;
  /** From call to answer, in milliseconds. */
  readonly durationMs: number;
}

/** The line of a call that acts or publishes: who, what, whom it was about, and what came of it. Those that read have none. */
export function audit(log: Logger, level: 'info' | 'debug', audited: Audited): void {
  const { spec, caller, input, outcome, durationMs } = audited;
  if (spec.kind === 'read' || !log.isLevelEnabled(level)) return;
  const target = input === undefined ? undefined : spec.target?.(input);
  log[level](
    {
      operation: spec.name,
      via: caller.via,
      ...(caller.address !== undefined && { address: printable(caller.address) }),
      ...(caller.name !== undefined && { caller: printable(caller.name) }),
      ...(caller.coordinator !== undefined && { coordinator: printable(caller.coordinator) }),
      ...(target !== undefined && { target: printableFields(target) }),
      outcome: outcome.ok ? 'ok' : outcome.error.code,
      ...(outcome.ok && { result: simple(outcome.answer) }),
      durationMs: Math.round(durationMs),
      ...traceFields(caller.trace),
    },
    'control',
  );
}

/** Of an answer what is said in a word or a number, and who did not answer. */
function simple(answer: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { instances, ...fields } = answer;
  const plain = Object.entries(fields).filter(([, value]) => typeof value !== 'object');
  const missing = missingOf(instances);
  return printableFields({ ...Object.fromEntries(plain), ...(missing.length > 0 && { missing }) });
}

function missingOf(instances: unknown): readonly unknown[] {
  if (typeof instances !== 'object' || instances === null || !('missing' in instances)) return [];
  return Array.isArray(instances.missing) ? instances.missing : [];
}
