import type { Config } from '../config/schema.ts';
import { SidestreamError } from '../errors.ts';
import type { Metrics } from '../metrics.ts';

/** Resolves with what is awaited, or when its time is over. */
export async function atMost(patienceMs: number, awaited: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise((resolve) => {
    timer = setTimeout(resolve, patienceMs);
  });
  await Promise.race([over, awaited]);
  clearTimeout(timer);
}

/** Why a worker gives up that should have had NATS by now. */
export function unreachable(isConnected: boolean, patienceMs: number): SidestreamError {
  const missed = isConnected ? 'JetStream did not tell what was revoked' : 'NATS was not reached';
  return new SidestreamError(
    'NATS_UNREACHABLE',
    `${missed} within ${patienceMs} ms, which the worker to be replaced has; see nats in the config`,
  );
}

/** Why new streams would be refused, or `undefined` when they are accepted. `isAccepting`: whether they are given, as far as NATS goes. */
export function unready(
  { ops }: { readonly ops: Pick<Config['ops'], 'readyNeedsNats'> },
  metrics: Pick<Metrics, 'draining' | 'natsConnected'>,
  isAccepting: boolean,
): string | undefined {
  if (metrics.draining) return 'draining';
  if (!ops.readyNeedsNats) return undefined;
  if (!metrics.natsConnected) return 'not connected to NATS';
  return isAccepting ? undefined : 'what NATS keeps of revocations was not read yet';
}
