import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { guard } from './guard.ts';
import { poll } from './poll.ts';

/** Where packages put their servers, beside what is on the PATH. */
const PLACES = ['/usr/sbin', '/usr/local/sbin', '/usr/bin', '/usr/local/bin'];

/** A program: what the variable names, else the first of that name on the PATH or where packages put it. */
export function findProgram(variable: string, name: string): string | undefined {
  const named = process.env[variable];
  if (named !== undefined) return named;
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...PLACES];
  return folders.map((folder) => join(folder, name)).find((file) => existsSync(file));
}

export interface ChildOptions {
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A server of somebody else's, as a child of ours; all that it says is kept. */
export class Child {
  readonly #process: ChildProcess;
  readonly #exit: Promise<void>;
  #output = '';

  constructor(file: string, { args, cwd, env = {} }: ChildOptions) {
    this.#process = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
      ...(cwd !== undefined && { cwd }),
    });
    guard(this.#process);
    for (const stream of [this.#process.stdout, this.#process.stderr])
      stream?.on('data', (text: Buffer) => {
        this.#output += text;
      });
    this.#exit = new Promise((resolve) => {
      this.#process.once('error', (error) => {
        this.#output += error.message;
        resolve();
      });
      this.#process.once('close', () => resolve());
    });
  }

  get output(): string {
    return this.#output;
  }

  /** Waits until it does what it is started for. @throws Error with what it said, where it ends before */
  async ready(what: string, ask: () => Promise<boolean> | boolean): Promise<void> {
    await poll(what, async () => {
      if (this.#process.exitCode !== null || this.#process.pid === undefined)
        throw new Error(`it ended before ${what}:\n${this.#output}`);
      return ask();
    });
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#exit;
  }
}

/** Starts one that is gone when the test is over. */
export function startChild(file: string, options: ChildOptions): Child {
  const child = new Child(file, options);
  onTestFinished(() => child.kill());
  return child;
}
