import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import type { LogLine } from './bridge.ts';
import { ensureBuild } from './build.ts';
import { temporaryFile } from './folder.ts';
import { guard } from './guard.ts';
import { poll } from './poll.ts';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
/** `SIDESTREAM_PROGRAM` names another program to test, which takes the same arguments: `npm run test:release` has the image's. */
const { SIDESTREAM_PROGRAM } = process.env;
const COMMAND: readonly string[] =
  SIDESTREAM_PROGRAM === undefined ? [process.execPath, MAIN] : [SIDESTREAM_PROGRAM];

export interface CliOptions {
  readonly cwd?: string;
  /** How many files it may have open. */
  readonly openFiles?: number;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** The program with some arguments, as an operator runs it: `node dist/main.js`. */
export class Cli {
  readonly #process: ChildProcess;
  readonly #exit: Promise<number | NodeJS.Signals>;
  #stdout = '';
  #stderr = '';

  constructor(args: readonly string[], { cwd, env = {}, openFiles }: CliOptions = {}) {
    const options = { env: { ...process.env, ...env }, ...(cwd !== undefined && { cwd }) };
    const [program, ...given] =
      openFiles === undefined
        ? [...COMMAND, ...args]
        : ['/bin/sh', '-c', `ulimit -n ${openFiles} && exec "$@"`, 'sh', ...COMMAND, ...args];
    this.#process = spawn(program ?? process.execPath, given, {
      ...options,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process.stdout?.on('data', (text: Buffer) => {
      this.#stdout += text;
    });
    this.#process.stderr?.on('data', (text: Buffer) => {
      this.#stderr += text;
    });
    this.#exit = new Promise((resolve, reject) => {
      this.#process.once('error', reject);
      this.#process.once('close', (code, signal) => resolve(code ?? signal ?? 'SIGKILL'));
    });
    guard(this.#process);
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Log lines so far. */
  get logs(): LogLine[] {
    return this.#stdout
      .split('\n')
      .slice(0, -1)
      .map((line): LogLine => JSON.parse(line));
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** The exit status, or the signal that ended it. */
  exited(): Promise<number | NodeJS.Signals> {
    return this.#exit;
  }

  /** Waits for a log line. @throws Error where the process ends before it */
  async logged(message: string): Promise<LogLine> {
    return poll(`the log line ${message}`, () => {
      const line = this.logs.find((candidate) => candidate.message === message);
      if (line === undefined && this.#process.exitCode !== null)
        throw new Error(`it ended: ${this.#stdout}${this.#stderr}`);
      return line;
    });
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#exit;
  }
}

/** Starts the program; it is gone when the test is over. */
export async function startCli(args: readonly string[], options: CliOptions = {}): Promise<Cli> {
  await ensureBuild();
  const cli = new Cli(args, options);
  onTestFinished(() => cli.kill());
  return cli;
}

/** Runs the program to its end. */
export async function runCli(
  args: readonly string[],
  options: CliOptions = {},
): Promise<{ status: number | NodeJS.Signals; stdout: string; stderr: string }> {
  const cli = await startCli(args, options);
  const status = await cli.exited();
  return { status, stdout: cli.stdout, stderr: cli.stderr };
}

/** A config file that is gone when the test is over. An object is written as JSON, which is YAML. */
export function writeConfig(config: string | object): string {
  return temporaryFile(typeof config === 'string' ? config : JSON.stringify(config), 'config.yaml');
}

/** `serve` with a config; resolves when it listens. */
export async function serve(
  config: object,
  options: CliOptions = {},
): Promise<{ cli: Cli; httpPort: number; opsUrl: string }> {
  const cli = await startCli(['serve', '--config', writeConfig(config)], options);
  const { http, ops } = await cli.logged('listening');
  return { cli, httpPort: portOf(http), opsUrl: `http://127.0.0.1:${portOf(ops)}` };
}

function portOf(address: unknown): number {
  if (typeof address === 'object' && address !== null && 'port' in address) return Number(address.port);
  throw new TypeError('no address');
}
