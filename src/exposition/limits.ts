import { totalmem } from 'node:os';
import type { Observed } from './observed.ts';
import type { Exposition } from './register.ts';

/** What may be held at most: beside what is held it shows how near the end is. Read at each scrape, since limits can change. */
export function exposeLimits(to: Exposition, { limits }: Pick<Observed, 'limits'>): void {
  to.gauge('sidestream_connections_limit', '`limits.connections`.', () => limits().connections);
  to.gauge('sidestream_channels_limit', '`limits.channels`.', () => limits().channels);
  to.gauge('sidestream_history_limit_bytes', '`limits.history`.', () => limits().historyBytes);
  to.gauge(
    'sidestream_pending_memory_limit_bytes',
    '`limits.pendingTotal`.',
    () => limits().pendingTotalBytes,
  );
  to.gauge('sidestream_memory_limit_bytes', 'Memory that all processes may take.', memoryLimitBytes);
}

/** The container's limit (cgroup), else all that the machine has: without a limit the kernel names a number beyond any machine. */
function memoryLimitBytes(): number {
  const limitBytes = process.constrainedMemory();
  return limitBytes > 0 ? Math.min(limitBytes, totalmem()) : totalmem();
}
