import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { systemClock } from '../clock.ts';
import { type Examination, examine } from '../doctor/doctor.ts';
import type { OpsOptions } from '../doctor/ops.ts';
import { createReport, formatReport, hasProblem, jsonReport } from '../doctor/report.ts';
import { durationMs } from '../duration.ts';
import { messageOf } from '../errors.ts';
import { UsageError } from './arguments.ts';
import { print } from './print.ts';
import { EXIT_FAILURE } from './report.ts';

/** The options of `doctor`, as they were given. */
export interface DoctorFlags {
  readonly token?: string | undefined;
  readonly 'token-file'?: string | undefined;
  readonly cookie?: string | undefined;
  readonly header: readonly string[];
  readonly origin?: string | undefined;
  readonly idle: string;
  readonly patience: string;
  readonly streams: string;
  readonly ops?: string | undefined;
  readonly 'ops-token-file'?: string | undefined;
  readonly drain?: string | undefined;
  readonly ca?: string | undefined;
  readonly insecure: boolean;
  readonly json: boolean;
}

const MAX_IDLE_MS = 3_600_000;
const MAX_PATIENCE_MS = 60_000;
const MAX_STREAMS = 100;

/**
 * Measures the path to a stream and prints what it found; gives 1 where there is a problem.
 * @throws UsageError
 */
export async function doctor(target: string | undefined, flags: DoctorFlags): Promise<number> {
  const examination = readExamination(target, flags);
  const { url, idleMs } = examination;
  if (!flags.json)
    process.stderr.write(`measuring; this takes ${Math.ceil(idleMs / 1000)} s or a little more (--idle)\n`);
  const report = createReport(url, await examine(examination), secretsOf(examination));
  print(flags.json ? jsonReport(report) : formatReport(report));
  return hasProblem(report) ? EXIT_FAILURE : 0;
}

function readExamination(target: string | undefined, flags: DoctorFlags): Examination {
  if (target === undefined)
    throw new UsageError('doctor wants the URL of a stream: https://events.example.com/events/prices.ACME');
  const { drain } = flags;
  if (drain !== undefined && drain !== 'wait' && drain !== 'call')
    throw new UsageError(`--drain ${drain} is neither wait nor call`);
  const trust = {
    insecure: flags.insecure,
    ca: flags.ca === undefined ? undefined : readCertificates(flags.ca),
  };
  const ops = readOps(flags, trust);
  if (drain === 'call' && ops === undefined)
    throw new UsageError('--drain call needs --ops and --ops-token-file');
  return {
    url: readUrl('the URL', target),
    headers: readHeaders(flags),
    trust,
    idleMs: readDuration('--idle', flags.idle, MAX_IDLE_MS),
    patienceMs: readDuration('--patience', flags.patience, MAX_PATIENCE_MS),
    streams: readCount('--streams', flags.streams, MAX_STREAMS),
    ops,
    drain,
    clock: systemClock,
  };
}

function readOps(flags: DoctorFlags, trust: OpsOptions['trust']): OpsOptions | undefined {
  const { ops, 'ops-token-file': file } = flags;
  if (ops === undefined && file === undefined) return undefined;
  if (ops === undefined || file === undefined) throw new UsageError('--ops and --ops-token-file go together');
  return { url: readUrl('--ops', ops), token: readText('--ops-token-file', file).trim(), trust };
}

function readUrl(what: string, text: string): URL {
  // A URL may hold a secret in any of its parts: what is wrong with it is not said back.
  if (!URL.canParse(text)) throw new UsageError(`${what} is no URL; it begins with https:// or http://`);
  const url = new URL(text);
  if (!['http:', 'https:'].includes(url.protocol))
    throw new UsageError(`${what} must begin with https:// or http://`);
  if (url.username !== '' || url.password !== '')
    throw new UsageError(
      `${what} holds a user or a password: send them with --header 'authorization: Basic …'`,
    );
  url.hash = '';
  return url;
}

/** RFC 9110 5.1 and 5.5. */
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;

function readHeaders(flags: DoctorFlags): Readonly<Record<string, string>> {
  const { token, 'token-file': file, cookie, header, origin } = flags;
  if (token !== undefined && file !== undefined)
    throw new UsageError('--token and --token-file are one too many');
  const bearer = file === undefined ? token : readText('--token-file', file).trim();
  const named: [string, string][] = [];
  if (bearer !== undefined) named.push(['authorization', `Bearer ${bearer}`]);
  if (cookie !== undefined) named.push(['cookie', cookie]);
  if (origin !== undefined) named.push(['origin', origin]);
  const lines = [...header, ...named.map(([name, value]) => `${name}: ${value}`)];
  return Object.fromEntries(lines.map(readHeader));
}

/** Of one connection, or of the message itself: not for who asks to set. RFC 9110 7.6.1, RFC 9113 8.2.2. */
const REFUSED_HEADERS: ReadonlySet<string> = new Set(
  ['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'].concat([
    'content-length',
    'expect',
    'host',
    'http2-settings',
  ]),
);

function readHeader(line: string): [string, string] {
  const [, name, value] = HEADER.exec(line) ?? [];
  if (name === undefined || value === undefined)
    throw new UsageError(
      `a header is not 'name: value' in ASCII, or a token or cookie holds what no header may`,
    );
  if (REFUSED_HEADERS.has(name.toLowerCase())) throw new UsageError(`--header ${name} cannot be set`);
  return [name.toLowerCase(), value.trim()];
}

function readText(option: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${option}: ${messageOf(error)}`);
  }
}

/** Node passes over what is no certificate, and would then trust nobody more than before. */
function readCertificates(file: string): string {
  const text = readText('--ca', file);
  try {
    new X509Certificate(text);
  } catch {
    // An error of OpenSSL, whose text tells nobody anything.
    throw new UsageError(`--ca: ${file} holds no certificate (PEM)`);
  }
  return text;
}

function readDuration(option: string, text: string, most: number): number {
  const ms = durationMs(text);
  if (ms === undefined || ms < 1000 || ms > most)
    throw new UsageError(`${option} ${text} is not a duration like 70s, from 1s to ${most / 1000}s`);
  return ms;
}

function readCount(option: string, text: string, most: number): number {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : Number.NaN;
  if (!(count <= most)) throw new UsageError(`${option} ${text} is not a number from 0 to ${most}`);
  return count;
}

/** All that must not be printed, should a server say it back: each header's value, and its parts. */
function secretsOf({ headers, ops }: Examination): string[] {
  const { origin: _, ...secret } = headers;
  const values = Object.values(secret);
  const parts = values.flatMap((value) => value.split(/[\s;=,]+/));
  return [...values, ...parts, ...(ops === undefined ? [] : [ops.token])];
}
