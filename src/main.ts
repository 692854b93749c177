#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { loadConfiguredKeys } from './auth/configured-keys.ts';
import { signToken } from './auth/sign.ts';
import { type Bridge, createBridge } from './bridge/bridge.ts';
import { systemClock } from './clock.ts';
import { exampleYaml } from './config/example.ts';
import { jsonSchema } from './config/json-schema.ts';
import { ConfigError, formatNotices, formatProblems, loadConfig, readConfig } from './config/load.ts';
import { referenceMarkdown } from './config/reference.ts';
import type { Config } from './config/schema.ts';
import { closest } from './config/spelling.ts';
import { parseDuration } from './config/units.ts';
import { openApi } from './control/openapi.ts';
import { messageOf, SidestreamError } from './errors.ts';
import { createLog, type Logger } from './log.ts';
import { workerCount } from './workers/cpus.ts';
import { Primary } from './workers/primary.ts';
import { Worker } from './workers/worker.ts';

const EXIT_OK = 0;
const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;

const HELP = `sidestream: publish to NATS, browsers receive Server-Sent Events

Usage:
  sidestream [serve] [--config FILE]   run the bridge
  sidestream check [--config FILE]     list every problem of the config, with line and column
  sidestream schema                    print the config's JSON Schema
      --example                        print config.example.yaml instead: every key with its default
      --markdown                       print docs/configuration.md instead
      --openapi                        print docs/openapi.json instead: the control plane over HTTP
  sidestream token [--config FILE]     sign a token for trying out, with the config's own key
      --sub NAME                       the user
      --claim NAME=VALUE               any other claim, JSON or text; may be given again:
                                         --claim plan=pro --claim 'channels=["chat-*","news"]'
      --ttl DURATION                   until it expires (default: 1h; of a ticket, as long as it may be good)
      --ticket                         a one-time ticket, of the first issuer that gives them
      --issuer URL                     whose, where auth.jwt has several (default: the first)
      --key FILE                       a private key (PEM), where the config has only public ones
  sidestream --version
  sidestream --help

Options:
  -c, --config FILE   the YAML config (default: ./config.yaml)

Exit status: 0 fine, 1 run-time failure, 2 bad usage or bad config.
SIGTERM and SIGINT drain: /readyz fails, streams are told when to come back and end over drain.timeout.
A second signal exits at once.
With several workers, SIGUSR2 reads the config again and restarts them, one at a time.
`;

async function main(argv: string[]): Promise<number> {
  const { command, config, flags } = readArguments(argv);
  if (flags.help || command === 'help') return print(HELP);
  if (flags.version) return print(`${version()}\n`);
  switch (command) {
    case 'serve':
      return serve(config);
    case 'check':
      return check(config);
    case 'token':
      return token(config, flags);
    case 'schema':
      if (flags.example) return print(exampleYaml());
      if (flags.openapi) return print(`${JSON.stringify(openApi(version()), null, 2)}\n`);
      if (flags.markdown) return print(referenceMarkdown());
      return print(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
    case 'worker':
      // Not for people: whoever starts one talks to it.
      if (process.send !== undefined) return work();
      throw new UsageError('unknown command "worker"');
    default:
      throw new UsageError(`unknown command ${JSON.stringify(command)}`);
  }
}

class UsageError extends Error {}

async function check(file: string): Promise<number> {
  const { config, notices } = readConfig(file);
  // What the start would find out: whether the files and JWKs hold keys that are of use.
  for (const issuer of config.auth.jwt) await loadConfiguredKeys(issuer);
  return print(notices.length === 0 ? `${file}: no problems\n` : `${formatNotices(notices)}\n`);
}

interface TokenFlags {
  readonly sub?: string | undefined;
  readonly claim: readonly string[];
  readonly ttl?: string | undefined;
  readonly ticket: boolean;
  readonly issuer?: string | undefined;
  readonly key?: string | undefined;
}

async function token(file: string, flags: TokenFlags): Promise<number> {
  const { sub, claim, ttl, issuer, ticket, key } = flags;
  const lifetimeMs = ttl === undefined ? undefined : parseDuration(ttl);
  if (ttl !== undefined && (lifetimeMs === undefined || lifetimeMs < 1000))
    throw new UsageError(`--ttl ${ttl} is not a duration like 15m, of a second or more`);
  const claims = { ...(sub !== undefined && { sub }), ...Object.fromEntries(claim.map(readClaim)) };
  const { auth } = loadConfig(file);
  const signed = await signToken(auth.jwt, {
    claims,
    issuer,
    ticket,
    privateKeyFile: key,
    lifetimeS: lifetimeMs === undefined ? undefined : Math.floor(lifetimeMs / 1000),
    nowS: Math.floor(systemClock.wall() / 1000),
  });
  return print(`${signed}\n`);
}

/** `team=7` → a number, `channels=["chat-*"]` → a list, `name=Ada` → text. */
function readClaim(pair: string): [string, unknown] {
  const at = pair.indexOf('=');
  if (at < 1) throw new UsageError(`--claim ${JSON.stringify(pair)} is not NAME=VALUE`);
  const text = pair.slice(at + 1);
  try {
    return [pair.slice(0, at), JSON.parse(text)];
  } catch {
    // SyntaxError: not JSON, so it is text.
    return [pair.slice(0, at), text];
  }
}

/** The failure of a start belongs in the log too: collectors do not read standard error. */
function logged(log: Logger, error: unknown): unknown {
  const code = error instanceof SidestreamError ? error.code : undefined;
  log.fatal({ code, error: messageOf(error) }, 'cannot start');
  return error;
}

const OPTIONS = {
  config: { type: 'string', short: 'c', default: './config.yaml' },
  help: { type: 'boolean', short: 'h', default: false },
  version: { type: 'boolean', default: false },
  example: { type: 'boolean', default: false },
  markdown: { type: 'boolean', default: false },
  openapi: { type: 'boolean', default: false },
  sub: { type: 'string' },
  claim: { type: 'string', multiple: true, default: [] as string[] },
  ttl: { type: 'string' },
  ticket: { type: 'boolean', default: false },
  issuer: { type: 'string' },
  key: { type: 'string' },
} as const;

/** Node's own complaint advises to write `--` before it, which is never what was meant. */
function refuseUnknownOptions(args: string[]): void {
  const { tokens } = parseArgs({ args, options: OPTIONS, strict: false, tokens: true });
  for (const token of tokens) {
    if (token.kind !== 'option' || Object.hasOwn(OPTIONS, token.name)) continue;
    const meant = closest(token.name, Object.keys(OPTIONS));
    const hint = meant === undefined ? '' : `; did you mean --${meant}?`;
    throw new UsageError(`unknown option ${token.rawName}${hint}`);
  }
}

function readArguments(args: string[]) {
  try {
    refuseUnknownOptions(args);
    const { values, positionals } = parseArgs({ args, allowPositionals: true, options: OPTIONS });
    const [command = 'serve', ...rest] = positionals;
    if (rest[0] !== undefined) {
      const hint = /\.ya?ml$/.test(rest[0]) ? `; did you mean --config ${rest[0]}?` : '';
      throw new UsageError(`unexpected argument ${JSON.stringify(rest[0])}${hint}`);
    }
    return { command, config: values.config, flags: values };
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(messageOf(error));
  }
}

/** Runs until a signal, drains, and gives the exit status. */
async function serve(file: string): Promise<number> {
  const { config, notices } = readConfig(file);
  // EPIPE: whoever read the log has gone. The streams have not.
  process.stdout.on('error', () => undefined);
  const log = createLog(config.log, process.stdout);
  for (const { line, column, path, message } of notices) log.warn({ line, column, key: path }, message);
  let kill = () => {};
  const signalled = firstSignal(log, () => kill());
  const service = createService(file, config, log);
  kill = () => service.kill?.();
  process.on('uncaughtException', (error) => {
    log.fatal({ error: error.stack ?? String(error) }, 'uncaught exception');
    process.exit(EXIT_FAILURE);
  });
  try {
    await service.start();
    const signal = await Promise.race([signalled, failureOf(service)]);
    log.info({ signal }, 'signal received');
  } catch (error) {
    await service.stop();
    // At once: a NATS server that takes connections and says nothing would hold the process for its time-out.
    return process.exit(report(logged(log, error)));
  }
  await service.drain();
  await service.stop();
  // Whatever might still hold the event loop must not hold the process.
  return process.exit(EXIT_OK);
}

/** What `serve` runs: a bridge, or whoever keeps several of them running. */
interface Service extends Pick<Bridge, 'start' | 'drain' | 'stop'> {
  /** Ends the processes that were started, at once. */
  kill?(): void;
  /** Resolves where it cannot go on. */
  readonly failed?: Promise<Error>;
}

function createService(file: string, config: Config, log: Logger): Service {
  const count = workerCount(config.workers);
  if (count === 1) {
    process.on('SIGUSR2', () =>
      log.warn('SIGUSR2 restarts workers, one at a time; there is only one process'),
    );
    return createBridge({ config, log, version: version() });
  }
  const entry = fileURLToPath(import.meta.url);
  const primary = new Primary({ config, count, entry, log, version: version() });
  process.on('SIGUSR2', () => {
    try {
      void primary.restart(loadConfig(file));
    } catch (error) {
      log.error({ error: messageOf(error) }, 'the config is not taken; the workers go on as they are');
    }
  });
  return primary;
}

async function failureOf({ failed }: Service): Promise<never> {
  // Without one nothing of the kind can happen.
  throw await (failed ?? new Promise<Error>(() => undefined));
}

/** Runs one of several workers, for the process that started this one. */
async function work(): Promise<number> {
  process.stdout.on('error', () => undefined);
  const worker = new Worker();
  process.on('uncaughtException', (error) => {
    worker.crashed(error);
    process.exit(EXIT_FAILURE);
  });
  return process.exit(await worker.run());
}

/** The first SIGTERM or SIGINT; the second one ends the process at once, after `kill`. */
function firstSignal(log: Logger, kill: () => void): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let received = false;
    const onSignal = (signal: NodeJS.Signals) => {
      if (received) {
        log.warn({ signal }, 'second signal; exiting at once');
        kill();
        process.exit(EXIT_FAILURE);
      }
      received = true;
      resolve(signal);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}

function report(error: unknown): number {
  if (error instanceof UsageError) {
    process.stderr.write(`sidestream: ${error.message}\nTry sidestream --help\n`);
    return EXIT_USAGE;
  }
  if (error instanceof ConfigError) {
    process.stderr.write(`${formatProblems(error.problems)}\n`);
    return EXIT_USAGE;
  }
  if (error instanceof SidestreamError && error.code === 'CONFIG_INVALID') {
    process.stderr.write(`sidestream: ${error.code}: ${error.message}\n`);
    return EXIT_USAGE;
  }
  const text = error instanceof SidestreamError ? `${error.code}: ${error.message}` : String(error);
  process.stderr.write(`sidestream: ${text}\n`);
  return EXIT_FAILURE;
}

function print(text: string): number {
  // Whoever reads may have had enough, like head.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  process.stdout.write(text);
  return EXIT_OK;
}

function version(): string {
  const manifest: { version?: string } = JSON.parse(
    readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
  );
  return manifest.version ?? '0.0.0';
}

// Last, so that every class above is there when something goes wrong.
process.exitCode = await main(process.argv.slice(2)).catch(report);
