import type { ReloadMetrics } from '../metrics.ts';
import type { Exposition } from './register.ts';

/** What became of the config's file since the start. */
export function exposeReloads(to: Exposition, reloads: ReloadMetrics): void {
  to.counts(
    'sidestream_config_reloads_total',
    'Configs that were read while the process ran, by what became of them.',
    ['outcome'],
    () => [
      [{ outcome: 'applied' }, reloads.applied],
      [{ outcome: 'refused' }, reloads.refused],
    ],
  );
  to.gauge(
    'sidestream_config_last_reload_successful',
    '0 while the config that was read last is refused, and the one before it gone by.',
    () => Number(reloads.isLastSuccessful),
  );
  to.gauge(
    'sidestream_config_last_reload_success_timestamp_seconds',
    'When a config was last taken on, at the start or since.',
    () => reloads.lastSuccessMs / 1000,
  );
  to.gauge('sidestream_config_restart_needed', '1 while the config holds what only a restart takes on.', () =>
    Number(reloads.needsRestart),
  );
}
