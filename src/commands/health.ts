import { get } from 'node:http';
import { isIPv6 } from 'node:net';
import { readOpsListen } from '../config/load.ts';
import type { HostPort } from '../config/schema.ts';
import { messageOf } from '../errors.ts';
import { print } from './print.ts';
import { EXIT_FAILURE } from './report.ts';

/** A process that is well answers within milliseconds; who asks, such as Docker, waits some seconds. */
const PATIENCE_MS = 2000;
const TOO_LATE = `no answer within ${PATIENCE_MS / 1000} s`;
/** Longer than any reason that is answered. */
const SHOWN_CHARACTERS = 200;
/** What listens on every address is asked at the one that every machine has. */
const LOOPBACK: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

export interface HealthOptions {
  /** Asks whether streams are given (`/readyz`), and not only whether the process answers (`/livez`). */
  readonly ready: boolean;
}

/** Asks a running Sidestream on this machine how it is, at `ops.listen` of the config, and says so in one line. */
export async function health(file: string, { ready }: HealthOptions): Promise<number> {
  const url = urlOf(readOpsListen(file), ready ? '/readyz' : '/livez');
  try {
    const { status, text } = await ask(url);
    const answer = `${url} answered ${status}: ${text.trim().replaceAll(/\s+/g, ' ').slice(0, SHOWN_CHARACTERS)}`;
    return status === 200 ? print(`healthy: ${answer}\n`) : unhealthy(answer);
  } catch (error) {
    return unhealthy(`${url}: ${reasonOf(error)}`);
  }
}

function unhealthy(why: string): number {
  process.stderr.write(`unhealthy: ${why}\n`);
  return EXIT_FAILURE;
}

function urlOf({ host, port }: HostPort, path: string): string {
  const asked = LOOPBACK[host] ?? host;
  return `http://${isIPv6(asked) ? `[${asked}]` : asked}:${port}${path}`;
}

// Not by fetch: that refuses some ports that a server may well have (WHATWG Fetch 2.9).
function ask(url: string): Promise<{ status: number; text: string }> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => reject(signal.aborted ? new Error(TOO_LATE) : error);
    const request = get(url, { agent: false, signal }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      response.on('error', fail);
    });
    request.on('error', fail);
  });
}

/** A host name may stand for several addresses, each of which failed in its own way. */
function reasonOf(error: unknown): string {
  return error instanceof AggregateError ? error.errors.map(messageOf).join(', ') : messageOf(error);
}
