import type { Finding, Findings } from './findings.ts';
import type { StressOptions } from './stress.ts';

/** Faults that are shown with what came before, and those that are only named. */
const TOLD_FAULTS = 4;
const NAMED_FAULTS = 40;
const SHOWN_COMPLAINTS = 20;

/** What went wrong, with how to see it again; or that nothing did. */
export function report({ seed, seconds, clients }: StressOptions, findings: Findings): string {
  const { faults, counts, complaints } = findings;
  const more = faults.length - NAMED_FAULTS;
  return [
    `npm run stress -- --seed ${seed} --seconds ${seconds} --clients ${clients}`,
    faults.length === 0 ? 'nothing missed, nothing twice, order kept' : `${faults.length} faults`,
    ...faults
      .slice(0, TOLD_FAULTS)
      .flatMap((fault) => [name(fault), ...fault.trail.map((line) => `    ${line}`)]),
    ...faults.slice(TOLD_FAULTS, NAMED_FAULTS).map(name),
    ...(more > 0 ? [`… and ${more} more`] : []),
    ...(faults.length === 0 ? [] : complaints.slice(-SHOWN_COMPLAINTS)),
    ...counts.map((line) => `  ${line}`),
  ].join('\n');
}

function name({ who, channel, what }: Finding): string {
  return `${[who, channel].filter(Boolean).join(', ')}: ${what}`;
}
