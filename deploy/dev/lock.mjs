// One set-up at a time: two runs in one checkout must not install into, or build over, each other.
import { mkdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CACHE, say } from './command.mjs';

const POLL_MS = 200;
/** The holder touches its lock this often; one left alone for DEAD_MS is a killed run's. */
const TOUCH_MS = 1000;
const DEAD_MS = 10_000;

function take(file) {
  try {
    writeFileSync(file, `${process.pid}\n`, { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    return false;
  }
}

// By age and not by the holder's pid: pids come again, and in a mounted checkout they are another container's.
function isDead(file) {
  return Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > DEAD_MS;
}

function touch(file) {
  try {
    utimesSync(file, new Date(), new Date());
  } catch {
    // ENOENT: the checkout was removed under us; the work will say so
  }
}

/**
 * Runs `work` while this process holds the lock `name`; waits for another process that holds it.
 * @template T
 * @param {string} name
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(name, work) {
  mkdirSync(CACHE, { recursive: true });
  const file = join(CACHE, `${name}.lock`);
  for (let waiting = false; !take(file); waiting = true) {
    if (isDead(file)) rmSync(file, { force: true });
    if (!waiting) say(`waiting for the ${name} of another run`);
    await sleep(POLL_MS);
  }
  const touching = setInterval(touch, TOUCH_MS, file);
  try {
    return await work();
  } finally {
    clearInterval(touching);
    rmSync(file, { force: true });
  }
}
