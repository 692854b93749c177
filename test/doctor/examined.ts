import { systemClock } from '../../src/clock.ts';
import { type Examination, examine } from '../../src/doctor/doctor.ts';
import { CHECK_IDS, type CheckId, type Finding } from '../../src/doctor/finding.ts';
import type { TestBridge } from '../support/bridge.ts';

export const OPS_TOKEN = 'a-token-of-the-operator';

/** What each check found; its verdict, and all that was said. */
export type Findings = Readonly<Record<CheckId, Finding>>;

export type ExaminedOptions = Partial<Omit<Examination, 'url' | 'ops'>> & {
  /** Whose control plane is asked. */
  readonly ops?: TestBridge;
};

/** Examines a path, in less time than an operator would give it. */
export async function examined(url: string, options: ExaminedOptions = {}): Promise<Findings> {
  const { ops, ...given } = options;
  const trust = given.trust ?? { insecure: false };
  const findings = await examine({
    url: new URL(url),
    headers: {},
    idleMs: 300,
    patienceMs: 5000,
    streams: 7,
    drain: undefined,
    clock: systemClock,
    ...given,
    trust,
    ops: ops && { url: new URL(ops.opsUrl), token: OPS_TOKEN, trust },
  });
  const byId = new Map(findings.map((finding) => [finding.id, finding]));
  return Object.fromEntries(CHECK_IDS.map((id) => [id, byId.get(id)])) as Findings;
}

/** Which checks came to a verdict, in their order. */
export function those(findings: Findings, verdict: Finding['verdict']): CheckId[] {
  return CHECK_IDS.filter((id) => findings[id].verdict === verdict);
}
