import type { Sample } from './bridge.ts';
import { type Check, openedIn } from './judge.ts';
import type { SoakOptions, SoakResult } from './soak.ts';

const MIB = 1024 * 1024;
const mib = (bytes: number) => (bytes / MIB).toFixed(1);
const gauge = (name: string) => (sample: Sample) => `${sample.metrics.of(name)}`;

const COLUMNS: Readonly<Record<string, (sample: Sample) => string>> = {
  seconds: ({ atS }) => atS.toFixed(0),
  opened: gauge('connections_opened_total'),
  open: gauge('connections'),
  compressed: gauge('compressed_connections'),
  slow: gauge('slow_connections'),
  'pending KiB': ({ metrics }) => (metrics.of('pending_bytes') / 1024).toFixed(0),
  'memory KiB': ({ metrics }) => (metrics.of('pending_memory_bytes') / 1024).toFixed(0),
  channels: gauge('channels'),
  subscriptions: gauge('nats_subscriptions'),
  'resident MiB': ({ residentBytes }) => mib(residentBytes),
  'held MiB': ({ heldBytes }) => mib(heldBytes),
  descriptors: ({ descriptors }) => `${descriptors}`,
  handles: ({ resources }) => `${resources}`,
};

export const HEADING = Object.keys(COLUMNS).join('  ');

/** One reading as a line of the table under {@link HEADING}. */
export function row(sample: Sample): string {
  return Object.entries(COLUMNS)
    .map(([name, read]) => read(sample).padStart(name.length))
    .join('  ');
}

/** What was found, bound by bound. */
export function verdict(
  { seed, minutes, clients, workers }: SoakOptions,
  result: SoakResult,
  checks: readonly Check[],
): string {
  const amount = ({ unit }: Check, value: number) => (unit === 'bytes' ? `${mib(value)} MiB` : `${value}`);
  const width = Math.max(...checks.map(({ what }) => what.length));
  return [
    `npm run soak -- --seed ${seed} --minutes ${minutes} --clients ${clients} --workers ${workers}`,
    checks.every(({ isMet }) => isMet) ? 'flat' : 'NOT FLAT',
    ...checks.map(
      (check) =>
        `${check.isMet ? '  ' : '! '}${check.what.padEnd(width)}  ${amount(check, check.found)} (bound ${amount(check, check.bound)})`,
    ),
    `  ${openedIn(result)} streams; visits: ${[...result.visits].map(([manner, n]) => `${manner} ${n}`).join(', ')}`,
  ].join('\n');
}
