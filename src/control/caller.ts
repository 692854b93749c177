import { COORDINATOR } from '../cluster/calls.ts';
import type { Peers } from '../cluster/peers.ts';
import { readTraceContext, traceHeaders } from '../tracing/trace-context.ts';
import type { Caller } from './operation.ts';
import { printable } from './printable.ts';

/** Who calls, by the caller's own word; over HTTP it has the same name. */
export const CALLER_HEADER = 'Sidestream-Caller';
const VIA_HEADER = 'Sidestream-Via';
const ADDRESS_HEADER = 'Sidestream-Address';

/** What tells the other instances who called. */
export function callerHeaders({ via, name, address, trace }: Caller): Readonly<Record<string, string>> {
  return {
    [VIA_HEADER]: via,
    ...(name !== undefined && { [CALLER_HEADER]: printable(name) }),
    ...(address !== undefined && { [ADDRESS_HEADER]: printable(address) }),
    ...traceHeaders(trace),
  };
}

/** Who calls over NATS itself, by the headers of the call. */
export function callerOf(header: Headers): Caller {
  return { via: 'nats', ...fields({ name: header(CALLER_HEADER) }), ...traceIn(header) };
}

type Headers = (name: string) => string;

/** Who called, as the instance tells that coordinates it; without one, whoever sent the command. */
export function readCaller(header: Headers, peers: Pick<Peers, 'has'>): Caller {
  const named = { ...fields({ name: header(CALLER_HEADER) }), ...traceIn(header) };
  const coordinator = header(COORDINATOR);
  // One that nobody knows coordinates nothing: with its word a command would leave no line in the log.
  if (coordinator === '' || !peers.has(coordinator)) return { via: 'command', ...named };
  const via = header(VIA_HEADER) === 'http' ? 'http' : 'nats';
  return { via, coordinator, ...named, ...fields({ address: header(ADDRESS_HEADER) }) };
}

function traceIn(header: Headers): Pick<Caller, 'trace'> {
  const trace = readTraceContext(header);
  return trace === undefined ? {} : { trace };
}

function fields<K extends string>(values: Readonly<Record<K, string>>): { readonly [name in K]?: string } {
  const given = Object.entries<string>(values).filter(([, value]) => value !== '');
  return Object.fromEntries(given) as { readonly [name in K]?: string };
}
