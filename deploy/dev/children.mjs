// The processes a demo consists of: started one after the other, stopped in the opposite order, none left behind.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SetupError } from './command.mjs';

const POLL_MS = 50;
/** How long a child may take to start. */
const START_MS = 20_000;
/** How long a child may take to end when it is asked to; the demo's Sidestream drains in two seconds. */
const STOP_MS = 15_000;
/** What a child wrote last is shown when it ends on its own. */
const REMEMBERED_LINES = 20;
const GUARD = fileURLToPath(new URL('guard.mjs', import.meta.url));

// In groups of their own (`detached`), all of them: a Ctrl-C in the terminal then reaches only us, and we choose the order.
const GROUP = { detached: true, windowsHide: true };

/**
 * @typedef {{ name: string, process: import('node:child_process').ChildProcess, ended: Promise<string>, lines: string[], hasEnded: boolean }} Child
 */

/** Starts the process that ends the children should we be killed; its stdin is the lifeline. */
function startGuard() {
  const guard = spawn(process.execPath, [GUARD], { ...GROUP, stdio: ['pipe', 'ignore', 'ignore'] });
  guard.stdin.on('error', () => {}); // EPIPE: somebody ended the guard; the demo goes on without it
  guard.unref();
  return guard;
}

/** Resolves with how it ended: `exit code 1`, `SIGKILL`, or why it did not start. */
function endOf(process) {
  return new Promise((resolve) => {
    process.on('error', (error) => resolve(error.message));
    process.on('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
}

/** Asks a child to end and waits for it; makes it, where it does not. */
async function end(child) {
  if (!child.hasEnded) child.process.kill('SIGTERM');
  const timer = setTimeout(() => child.process.kill('SIGKILL'), STOP_MS);
  const how = await child.ended;
  clearTimeout(timer);
  return how;
}

/** For a message that must explain itself. */
const tail = ({ lines }) => `Its last lines:\n${lines.join('\n') || '(none)'}`;

/** A group of children. */
export class Children {
  /** Rejects when a child ends that was not asked to. */
  failure;
  #fail;
  #print;
  #guard = startGuard();
  /** @type {Child[]} */
  #children = [];
  #isStopping = false;

  /** @param {(name: string, line: string) => void} print takes what they write, line by line */
  constructor(print) {
    this.#print = print;
    this.failure = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failure.catch(() => {}); // who waits for the demo handles it; before that it is nobody's unhandled rejection
    print('guard', `started as process ${this.#guard.pid}`);
  }

  /**
   * Starts a program and waits until it is of use.
   * @param {string} name
   * @param {{ program: string, args: readonly string[], env?: NodeJS.ProcessEnv }} command
   * @param {() => Promise<boolean>} isReady asked again and again
   * @throws {SetupError} when it ends before, or takes too long
   */
  async start(name, { program, args, env = process.env }, isReady) {
    if (this.#isStopping) throw new SetupError(`${name} was not started: the demo is being stopped.`);
    const spawned = spawn(program, args, { ...GROUP, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const child = { name, process: spawned, ended: endOf(spawned), lines: [], hasEnded: false };
    this.#children.push(child);
    this.#watch(child);
    for (const end = Date.now() + START_MS; !this.#isStopping && !(await isReady()); ) {
      if (Date.now() > end)
        throw new SetupError(`${name} is not ready after ${START_MS / 1000} s. ${tail(child)}`);
      await Promise.race([sleep(POLL_MS), this.failure]);
    }
  }

  /** Ends one after the other, the last started first; how each ended, by name. */
  async stop() {
    this.#isStopping = true;
    const ends = {};
    for (const child of this.#children.toReversed()) ends[child.name] = await end(child);
    this.#guard.stdin.end();
    return ends;
  }

  /** Ends all at once. */
  kill() {
    this.#isStopping = true;
    for (const child of this.#children) if (!child.hasEnded) child.process.kill('SIGKILL');
  }

  #watch(child) {
    const { pid, stdout, stderr } = child.process;
    this.#guard.stdin.write(`+${pid}\n`);
    this.#print(child.name, `started as process ${pid}`);
    for (const input of [stdout, stderr])
      createInterface({ input }).on('line', (line) => this.#remember(child, line));
    child.ended.then((how) => {
      child.hasEnded = true;
      this.#guard.stdin.write(`-${pid}\n`);
      if (!this.#isStopping) this.#fail(new SetupError(`${child.name} ended (${how}). ${tail(child)}`));
    });
  }

  #remember(child, line) {
    child.lines.push(line);
    if (child.lines.length > REMEMBERED_LINES) child.lines.shift();
    this.#print(child.name, line);
  }
}
