import type { Clock } from '../clock.ts';
import type { Bus } from '../cluster/bus.ts';
import type { Peers } from '../cluster/peers.ts';
import type { Config } from '../config/schema.ts';
import { BackendEvents } from './backend-events.ts';
import { InstanceEvents } from './instance-events.ts';
import { Outflow } from './outflow.ts';
import { StreamEvents } from './stream-events.ts';

export interface BackendOptions {
  readonly config: Pick<Config['control'], 'prefix' | 'events'>;
  readonly clock: Clock;
  readonly bus: Pick<Bus, 'publish' | 'flush' | 'maxPayloadBytes'>;
  readonly peers: Peers;
}

/** What is told to backends, by those who see it. */
export interface Backend {
  readonly events: BackendEvents;
  /** The server's: which streams come and go. Absent where nobody asked for that. */
  readonly streams: StreamEvents | undefined;
  connected(): void;
  reconnected(): void;
  stop(): void;
}

export function createBackend({ config, clock, bus, peers }: BackendOptions): Backend {
  const outflow = new Outflow(bus);
  const events = new BackendEvents({
    ...config,
    instance: peers.own.instance,
    wall: () => clock.wall(),
    maxPayloadBytes: () => bus.maxPayloadBytes,
    publish: (...message) => outflow.publish(...message),
  });
  const streams = events.wants('connected', 'disconnected', 'instances')
    ? new StreamEvents({ events, now: () => clock.now() })
    : undefined;
  const instances = events.wants('instances')
    ? new InstanceEvents({
        events,
        peers,
        connections: () => streams?.size ?? 0,
        now: () => clock.now(),
      })
    : undefined;
  return {
    events,
    streams,
    connected: () => instances?.connected(),
    reconnected: () => instances?.reconnected(),
    stop: () => instances?.stop(),
  };
}
