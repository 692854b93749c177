import type { Observed } from './observed.ts';
import type { Exposition } from './register.ts';

/** The control plane, and the instances that it reaches. */
export function exposeCluster(to: Exposition, observed: Observed): void {
  to.gauge(
    'sidestream_cluster_instances',
    'Instances that this one knows of, itself included.',
    () => observed.cluster().instances,
  );
  to.counts(
    'sidestream_control_calls_total',
    'Calls of the control plane that were answered from here.',
    ['operation', 'outcome'],
    () =>
      [...observed.cluster().calls].map(({ operation, outcome, count }) => [{ operation, outcome }, count]),
  );
  to.gauge(
    'sidestream_control_calls_waiting',
    'Calls of the control plane that wait for their turn.',
    () => observed.cluster().waiting,
  );
}
