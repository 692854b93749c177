import { isDeepStrictEqual } from 'node:util';
import type { Config, JwtIssuerConfig, RouteConfig } from './schema.ts';

/** Configs that a process has gone by. */
export interface Known {
  /** That it was started with: what it was built for. */
  readonly started: Config;
  /** That it goes by now. */
  readonly running: Config;
}

/** What becomes of a new config while the process runs. */
export interface Plan {
  /** All of it that can be had without a restart; what cannot is as it was. */
  readonly config: Config;
  /** The keys, as they are written in the file, of what only a restart takes on. */
  readonly restart: readonly string[];
  /** The keys of what changes now: a section, or one of its routes. */
  readonly changed: readonly string[];
}

/** Set or built once for the process: ports, connections, buckets, subjects. docs/reload.md says why of each. */
const FIXED: readonly (readonly [key: string, ...(readonly [string, ...string[]])])[] = [
  ['http.listen', 'http', 'listen'],
  ['http.tls', 'http', 'tls'],
  ['ops.listen', 'ops', 'listen'],
  ['nats', 'nats'],
  ['sse.control', 'sse', 'control'],
  ['limits.requestHeaders', 'limits', 'requestHeaderBytes'],
  ['control', 'control'],
  ['workers', 'workers'],
  ['log.format', 'log', 'format'],
];

/** Holds a new config against what the process was built for. */
export function planOf(known: Known, next: Config): Plan {
  const restart: string[] = [];
  let config = next;
  for (const [key, ...path] of FIXED) {
    const kept = at(known.running, path);
    if (isDeepStrictEqual(kept, at(config, path))) continue;
    restart.push(key);
    config = withAt(config, path, kept) as Config;
  }
  const auth = authOf(known, config.auth);
  const channels = channelsOf(known, config.channels);
  config = { ...config, auth: auth.kept, channels: channels.kept };
  restart.push(...auth.restart, ...channels.restart);
  return { config, restart, changed: changedKeys(known.running, config) };
}

/** What differs between two configs: sections, and routes one by one. */
export function changedKeys(before: Config, after: Config): readonly string[] {
  const { channels: routesBefore, ...restBefore } = before;
  const { channels: routesAfter, ...restAfter } = after;
  const routes = differences(routesBefore, routesAfter).map((name) => `channels.${name}`);
  return [...differences(restBefore, restAfter), ...routes];
}

function differences(before: object, after: object): string[] {
  const [old, fresh] = [new Map(Object.entries(before)), new Map(Object.entries(after))];
  const names = new Set([...old.keys(), ...fresh.keys()]);
  return [...names].filter((name) => !isDeepStrictEqual(old.get(name), fresh.get(name)));
}

interface Kept<T> {
  readonly kept: T;
  readonly restart: readonly string[];
}

/**
 * Where no tokens were checked nobody follows what is revoked; and the bucket of used tickets was made, or not, for those of the
 * start. Neither is to be had halfway: a ticket whose issuer were read without `ticket` would be good more than once.
 */
function authOf({ started, running }: Known, auth: Config['auth']): Kept<Config['auth']> {
  if (!checksTokens(started.auth) && checksTokens(auth)) {
    const { introspection, callout, ...rest } = auth;
    const given = {
      jwt: auth.jwt.length > 0,
      introspection: introspection !== undefined,
      callout: callout !== undefined,
    };
    const restart = Object.entries(given).flatMap(([name, isGiven]) => (isGiven ? [`auth.${name}`] : []));
    return { kept: { ...rest, jwt: [] }, restart };
  }
  if (remembersTickets(started.auth.jwt, auth.jwt)) return { kept: auth, restart: [] };
  return { kept: { ...auth, jwt: running.auth.jwt }, restart: ['auth.jwt'] };
}

function checksTokens({ jwt, introspection, callout }: Config['auth']): boolean {
  return jwt.length > 0 || introspection !== undefined || callout !== undefined;
}

/** Whether a bucket made for tickets of `before` remembers those of `after` long enough. */
function remembersTickets(before: readonly JwtIssuerConfig[], after: readonly JwtIssuerConfig[]): boolean {
  const [old, fresh] = [before, after].map((issuers) => issuers.filter(({ ticket }) => ticket !== undefined));
  const longest = (read: (issuer: JwtIssuerConfig) => number) => Math.max(...(old ?? []).map(read));
  return (fresh ?? []).every(
    (issuer) =>
      (issuer.ticket?.maxAgeMs ?? 0) <= longest(({ ticket }) => ticket?.maxAgeMs ?? 0) &&
      issuer.clockToleranceMs <= longest(({ clockToleranceMs }) => clockToleranceMs),
  );
}

/** Presence and inboxes are not there at all where no route had them at the start; the route is served without. */
function channelsOf({ started }: Known, channels: Config['channels']): Kept<Config['channels']> {
  const had = Object.values(started.channels);
  const followsAll = started.control.events.some((event) => event === 'occupied' || event === 'vacated');
  const hasPresence = followsAll || had.some(({ presence }) => presence !== undefined);
  const hasInbox = had.some(({ inbox }) => inbox);
  const restart: string[] = [];
  const kept = Object.entries(channels).map(([name, route]): [string, RouteConfig] => {
    let fitting = route;
    if (!hasPresence && route.presence !== undefined) {
      restart.push(`channels.${name}.presence`);
      const { presence: _, ...rest } = fitting;
      fitting = rest;
    }
    if (!hasInbox && route.inbox) {
      restart.push(`channels.${name}.inbox`);
      fitting = { ...fitting, inbox: false };
    }
    return [name, fitting];
  });
  return { kept: Object.fromEntries(kept), restart };
}

function at(value: unknown, [step, ...path]: readonly string[]): unknown {
  if (step === undefined) return value;
  return typeof value === 'object' && value !== null ? at(Reflect.get(value, step), path) : undefined;
}

/** A copy with another value at a path; without the key where that is `undefined`. */
function withAt(value: unknown, [step, ...path]: readonly string[], put: unknown): unknown {
  if (step === undefined || typeof value !== 'object' || value === null) return put;
  const inner = withAt(Reflect.get(value, step), path, put);
  return Object.fromEntries(
    Object.entries({ ...value, [step]: inner }).filter(([key, of]) => key !== step || of !== undefined),
  );
}
