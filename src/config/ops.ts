import type { HostPort } from './addresses.ts';
import { section } from './keys.ts';
import { flag, hostPort } from './kinds.ts';

/** The port for operators. */
export interface OpsConfig {
  readonly listen: HostPort;
  readonly readyNeedsNats: boolean;
}

/** What the config has under `ops:`. */
export const ops = section('What operators and Kubernetes reach: `/metrics`, `/livez`, `/readyz`.', {
  listen: hostPort('127.0.0.1', {
    description:
      'Address and port of metrics and probes, written as `http.listen`. Set it to `:9090` when probes or Prometheus come from outside the pod or machine; it needs a port of its own.',
  }).prefault('127.0.0.1:9090'),
  readyNeedsNats: flag({
    description:
      'Whether `/readyz` fails while NATS is away. Set it to true in a Deployment of its own; keep it false beside a service, where a NATS outage must not take the service out of rotation.',
  }).prefault(false),
}).prefault({});
