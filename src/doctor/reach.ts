import { lookup } from 'node:dns/promises';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Clock } from '../clock.ts';
import { type Protocol, type Trust, tlsOptions } from './exchange.ts';

/** How far one gets towards the server; times in milliseconds. */
export interface Reach {
  /** All that the name stands for. */
  readonly addresses: readonly string[];
  readonly lookupMs: number;
  readonly connectMs?: number;
  /** The address that took the connection, and ours as it is on this machine. */
  readonly remoteAddress?: string;
  readonly localAddress?: string;
  /** Node's code of what went wrong before a connection was there. */
  readonly failure?: string;
  readonly tls?: TlsReach;
}

export interface TlsReach {
  readonly tookMs: number;
  readonly version?: string;
  readonly protocol: Protocol;
  /** Until the certificate runs out; negative where it has. */
  readonly daysLeft?: number;
  /** From its beginning to its end. */
  readonly lifetimeDays?: number;
  /** Why it is not trusted, or what broke the handshake off. */
  readonly failure?: string;
  /** Whether a connection came about all the same, since everybody is believed. */
  readonly isUnverified: boolean;
}

const DAY_MS = 86_400_000;

/** Looks the name up, connects, and shakes hands as a browser would; sends no request, and so no secret. */
export async function reach(url: URL, trust: Trust, clock: Clock, patienceMs: number): Promise<Reach> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const startMs = clock.now();
  try {
    const found = isIP(host) ? [{ address: host }] : await within(lookup(host, { all: true }), patienceMs);
    const lookupMs = clock.now() - startMs;
    const addresses = found.map(({ address }) => address);
    return { addresses, lookupMs, ...(await reachPort(url, host, trust, clock, patienceMs)) };
  } catch (error) {
    return { addresses: [], lookupMs: clock.now() - startMs, failure: codeOf(error) };
  }
}

type ReachedPort = Omit<Reach, 'addresses' | 'lookupMs'>;

async function reachPort(
  url: URL,
  host: string,
  trust: Trust,
  clock: Clock,
  patienceMs: number,
): Promise<ReachedPort> {
  const isTls = url.protocol === 'https:';
  const port = Number(url.port || (isTls ? 443 : 80));
  const startMs = clock.now();
  const socket = connect({ host, port });
  try {
    await within(happened(socket, 'connect'), patienceMs);
    const { remoteAddress = '', localAddress = '' } = socket;
    const reached = { connectMs: clock.now() - startMs, remoteAddress, localAddress };
    return isTls ? { ...reached, tls: await shakeHands(socket, host, trust, clock, patienceMs) } : reached;
  } catch (error) {
    return { failure: codeOf(error) };
  } finally {
    socket.destroy();
  }
}

async function shakeHands(
  socket: Socket,
  host: string,
  trust: Trust,
  clock: Clock,
  patienceMs: number,
): Promise<TlsReach> {
  const startMs = clock.now();
  const secure = connectTls({
    socket,
    ...tlsOptions(trust),
    // Judged below: so more can be said of it.
    rejectUnauthorized: false,
    ALPNProtocols: ['h2', 'http/1.1'],
    ...(isIP(host) ? { host } : { servername: host }),
  });
  try {
    await within(happened(secure, 'secureConnect'), patienceMs);
    return { tookMs: clock.now() - startMs, ...judgeable(secure, trust, clock) };
  } catch (error) {
    const tookMs = clock.now() - startMs;
    return { tookMs, protocol: 'http/1.1', failure: codeOf(error), isUnverified: false };
  } finally {
    secure.destroy();
  }
}

function judgeable(secure: TLSSocket, trust: Trust, clock: Clock): Omit<TlsReach, 'tookMs'> {
  const { valid_from = '', valid_to = '' } = secure.getPeerCertificate();
  const runsOutMs = Date.parse(valid_to);
  const lifetimeMs = runsOutMs - Date.parse(valid_from);
  // Typed as an Error; it is Node's code.
  const failure = secure.authorized ? undefined : codeOf(secure.authorizationError);
  return {
    version: secure.getProtocol() ?? '',
    protocol: secure.alpnProtocol === 'h2' ? 'h2' : 'http/1.1',
    ...(Number.isFinite(runsOutMs) && { daysLeft: Math.floor((runsOutMs - clock.wall()) / DAY_MS) }),
    ...(Number.isFinite(lifetimeMs) && { lifetimeDays: lifetimeMs / DAY_MS }),
    ...(failure !== undefined && { failure }),
    isUnverified: failure !== undefined && trust.insecure,
  };
}

function happened(socket: Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.on('error', reject).once(event, () => resolve());
  });
}

/** @throws Error with the code `TIMEOUT` */
async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(Object.assign(new Error('it took too long'), { code: 'TIMEOUT' })), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function codeOf(error: unknown): string {
  if (typeof error === 'string') return error;
  if (error instanceof Error)
    return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
  return 'UNKNOWN';
}
