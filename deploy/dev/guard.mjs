// Ends the demo's children where their parent was killed and could not: its stdin is a pipe from the parent, which
// the kernel closes then. Children in groups of their own, as the demo's are, would otherwise outlive it.
// Reads lines: `+pid` for a child that started, `-pid` for one that ended.
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

/** After SIGTERM; nobody is left to wait for a drain. */
const GRACE_MS = 3000;
const POLL_MS = 50;

/** @type {Set<number>} */
const pids = new Set();

function signal(pid, name) {
  try {
    process.kill(pid, name);
    return true;
  } catch {
    return false; // ESRCH: it has ended
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const pid = Number(line.slice(1));
  if (Number.isNaN(pid)) continue; // a child that could not be started
  if (line.startsWith('+')) pids.add(pid);
  else pids.delete(pid);
}

const alive = () => [...pids].filter((pid) => signal(pid, 0));
for (const pid of alive()) signal(pid, 'SIGTERM');
for (const end = Date.now() + GRACE_MS; alive().length > 0 && Date.now() < end; ) await sleep(POLL_MS);
for (const pid of alive()) signal(pid, 'SIGKILL');
