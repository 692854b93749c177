// The bench's own processes: started here, asked over IPC, and gone when the bench is.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const running = new Set();

/** Ends nats-server and nginx should the bench be killed; the others notice by themselves. Started when needed. */
let guard;
const GUARD = fileURLToPath(new URL('../../deploy/dev/guard.mjs', import.meta.url));

function guardAgainstOrphans(pid) {
  guard ??= spawn(process.execPath, [GUARD], { stdio: ['pipe', 'ignore', 'ignore'] });
  guard.stdin.write(`+${pid}\n`);
}

/**
 * @typedef {object} Process
 * @property {number} pid
 * @property {(ask: string, fields?: object) => Promise<any>} ask one request to a process that runs `answer`
 * @property {(listener: (notice: string) => void) => void} onNotice replaces the listener to what it says unasked
 * @property {Promise<void>} ready resolves at its `{ ready: true }`
 * @property {(name: NodeJS.Signals) => void} signal
 * @property {() => Promise<void>} stop resolves when it is gone
 */

/**
 * Starts a Node script of this folder (or an absolute one) with an IPC channel.
 * @param {string} script
 * @param {{ args?: readonly string[], nodeArgs?: readonly string[] }} [options]
 */
export function startNode(script, { args = [], nodeArgs = [] } = {}) {
  const file = fileURLToPath(new URL(script, import.meta.url));
  return start(process.execPath, [...nodeArgs, file, ...args], { ipc: true });
}

/**
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ ipc?: boolean, keepsStdin?: boolean }} [options] `ipc`: the process runs `answer`; `keepsStdin`: it ends with its input
 * @returns {Process}
 */
export function start(command, args, { ipc = false, keepsStdin = false } = {}) {
  const stdio = [keepsStdin ? 'pipe' : 'ignore', 'pipe', 'pipe', ...(ipc ? ['ipc'] : [])];
  const child = spawn(command, args, { stdio });
  if (!ipc) guardAgainstOrphans(child.pid);
  const waiting = new Map();
  let nextId = 0;
  let said = '';
  let onNotice = () => {};
  let onReady = () => {};
  let onDead = () => {};
  const ready = new Promise((resolve, reject) => {
    onReady = resolve;
    onDead = reject;
  });
  ready.catch(() => {}); // Not every process is waited for this way.
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      said = (said + chunk).slice(-4000);
    });
  }
  child.on('message', (message) => {
    if (message.ready) return onReady();
    if (message.notice) return onNotice(message.notice);
    const reply = waiting.get(message.id);
    waiting.delete(message.id);
    message.error ? reply?.reject(new Error(message.error)) : reply?.resolve(message.result);
  });
  const gone = new Promise((resolve) => {
    const end = (what) => {
      running.delete(self);
      const error = new Error(`${command} ${args.join(' ')}: ${what}\n${said}`);
      onDead(error);
      for (const { reject } of waiting.values()) reject(error);
      resolve();
    };
    child.on('error', (error) => end(error.message));
    child.on('exit', (code, signal) => end(`ended with ${signal ?? code}`));
  });
  const self = {
    pid: child.pid,
    ready,
    ask: (ask, fields = {}) =>
      new Promise((resolve, reject) => {
        const id = nextId++;
        const silent = setTimeout(
          () => reject(new Error(`no answer to ${ask}: ${command} ${args.join(' ')}`)),
          ANSWER_PATIENCE_MS,
        );
        silent.unref();
        waiting.set(id, { resolve, reject });
        child.send({ ...fields, id, ask }, (error) => error && reject(error));
      }),
    onNotice: (listener) => {
      onNotice = listener;
    },
    signal: (name) => child.kill(name),
    stop: async () => {
      // Without its parent a process that runs `answer` ends at once; by signal Sidestream would drain first.
      if (ipc && child.connected) child.disconnect();
      else child.kill('SIGTERM');
      const patience = setTimeout(() => child.kill('SIGKILL'), STOP_PATIENCE_MS);
      await gone;
      clearTimeout(patience);
    },
  };
  running.add(self);
  return self;
}

const STOP_PATIENCE_MS = 5000;
/** Far more than the longest window: who has not answered by then never will. */
const ANSWER_PATIENCE_MS = 120_000;
const START_PATIENCE_MS = 20_000;

/** Ends every process that was started here and waits until they are gone. */
export async function stopAll() {
  await Promise.all([...running].map((child) => child.stop()));
  if (guard === undefined || guard.exitCode !== null) return;
  guard.stdin.end();
  await once(guard, 'exit');
}

/** A port that was free a moment ago. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** Resolves when something listens on the port; gives up with what the process said if it ends before. */
export async function listening(port, child) {
  const until = performance.now() + START_PATIENCE_MS;
  let dead;
  child.ready.catch((error) => {
    dead = error;
  });
  while (!(await canConnect(port))) {
    if (performance.now() > until) dead ??= new Error(`nothing listens on port ${port}`);
    if (dead) throw dead;
    await delay(20);
  }
}

function canConnect(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/** Open files that one process may have here. */
export function openFileLimit() {
  const said = execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim();
  return said === 'unlimited' ? Number.POSITIVE_INFINITY : Number(said);
}

/** What a process that has no probe of ours uses, from Linux' /proc: its one thread's run time, its resident pages. */
export function procUsage(pid) {
  return {
    cpuMicros: () => Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1000,
    residentBytes: () =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024,
  };
}

/** CPU time that all threads of a process, as they are now, have used. */
export function threadsMicros(pid) {
  return readdirSync(`/proc/${pid}/task`)
    .map((id) => Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ')[0]) / 1000)
    .reduce((sum, micros) => sum + micros, 0);
}

/** nginx' workers, or Sidestream's. */
export function childrenOf(pid) {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
}
