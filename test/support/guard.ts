import { type ChildProcess, spawn } from 'node:child_process';
import { Socket } from 'node:net';

/** Waits for the end of its input, which comes when we are gone, and then ends the process named by its argument. */
const SCRIPT = 'read -r _; kill -9 "$0"';

/**
 * Sees to it that `child` does not outlive this process, however that ends: where the native addon aborts it, or
 * somebody kills it, no handler of ours runs.
 */
export function guard(child: ChildProcess): void {
  if (child.pid === undefined) return;
  const watcher = spawn('sh', ['-c', SCRIPT, `${child.pid}`], { stdio: ['pipe', 'ignore', 'ignore'] });
  watcher.unref();
  if (watcher.stdin instanceof Socket) watcher.stdin.unref();
  child.once('exit', () => watcher.kill('SIGKILL'));
}
