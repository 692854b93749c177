import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createSecureContext } from 'node:tls';
import type * as Uws from 'uwebsockets-compat';
import type { Config } from '../config/schema.ts';
import { messageOf, SidestreamError } from '../errors.ts';

export type { HttpRequest, HttpResponse, TemplatedApp } from 'uwebsockets-compat';

/** Newest first. The one runs on Node 22, 24, 26 and glibc 2.38 on; the other on Node 18–23 and glibc 2.27 on. */
const PACKAGES = ['uWebSockets.js', 'uwebsockets-compat'] as const;

export interface LoadedUws {
  readonly uws: typeof Uws;
  /** For example `20.51.4`. */
  readonly version: string;
}

/**
 * Loads the newest uWebSockets.js that this machine can.
 * `requestHeaderBytes` bounds a request's header block; the addon reads it from the environment as it loads, so the
 * first call in a process decides. Its own default, 4096, cuts off browsers with large cookies for good.
 * @throws SidestreamError UWS_UNAVAILABLE
 */
export function loadUws(requestHeaderBytes: number): LoadedUws {
  process.env.UWS_HTTP_MAX_HEADERS_SIZE ??= String(requestHeaderBytes);
  const require = createRequire(import.meta.url);
  const failures: string[] = [];
  for (const name of PACKAGES) {
    try {
      const uws: typeof Uws = require(name);
      return { uws, version: binaryVersion(require.resolve(name)) };
    } catch (error) {
      failures.push(`${name}: ${String(error).replaceAll(/\s+/g, ' ').slice(0, 200)}`);
    }
  }
  throw new SidestreamError(
    'UWS_UNAVAILABLE',
    `no uWebSockets.js binary loads here: ${process.platform}-${process.arch}, Node ${process.version}, ${libc()}. ${advice()}\n` +
      '  Node 20, 22          glibc 2.27 or later (Debian 11, Ubuntu 20.04)\n' +
      '  Node 22, 24, 26      glibc 2.38 or later (Debian 13, Ubuntu 24.04)\n' +
      '  Alpine (musl) does not work.\n' +
      `Tried:\n${failures.map((failure) => `  ${failure}`).join('\n')}`,
    { fields: { platform: process.platform, arch: process.arch, node: process.version, libc: libc() } },
  );
}

function glibc(): string | undefined {
  const report: { header?: { glibcVersionRuntime?: string } } = JSON.parse(
    JSON.stringify(process.report.getReport()),
  );
  return report.header?.glibcVersionRuntime;
}

function libc(): string {
  const version = glibc();
  return version === undefined ? 'no glibc' : `glibc ${version}`;
}

/** What would help most probably. */
function advice(): string {
  const major = Number(process.versions.node.split('.')[0]);
  const [, minor = 0] = (glibc() ?? '2.0').split('.').map(Number);
  if (process.platform !== 'linux' || (major <= 22 && minor >= 27) || minor >= 38) {
    return 'This Node and libc should do: were the dependencies installed for another Node? Run `npm ci` again. What runs:';
  }
  return minor >= 27 ? 'With this glibc use Node 20 or 22. What runs:' : 'What runs:';
}

/**
 * What handlers are registered on; speaks TLS where the config names a certificate.
 * @throws SidestreamError LISTEN_FAILED — the certificate or its key is of no use
 */
export function createApp(uws: LoadedUws['uws'], tls: Config['http']['tls']): Uws.TemplatedApp {
  if (tls === undefined) return uws.App();
  const { certFile, keyFile } = tls;
  try {
    return uws.SSLApp({ cert_file_name: certFile, key_file_name: keyFile });
  } catch (cause) {
    throw new SidestreamError(
      'LISTEN_FAILED',
      `cannot serve TLS (http.tls) with ${certFile} and ${keyFile}: ${tlsProblem(certFile, keyFile)}`,
      { cause, fields: { certFile, keyFile } },
    );
  }
}

// uWebSockets.js does not say what is wrong with them; Node's own TLS mostly does.
function tlsProblem(certFile: string, keyFile: string): string {
  try {
    createSecureContext({ cert: readFileSync(certFile), key: readFileSync(keyFile) });
    return 'they are not accepted';
  } catch (error) {
    return messageOf(error);
  }
}

// On Node 20 the newer wrapper finds the older one's binary beside it: what counts is the binary's version.
function binaryVersion(wrapper: string): string {
  const require = createRequire(wrapper);
  const binary = require.resolve(
    `@uwsjs/${process.platform}-${process.arch}-${process.versions.node.split('.')[0]}`,
  );
  const manifest: { version?: string } = JSON.parse(
    readFileSync(join(dirname(binary), 'package.json'), 'utf8'),
  );
  return manifest.version ?? 'unknown';
}
