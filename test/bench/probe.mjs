// Loaded into every Node process under test with `--import`: tells what the process itself uses, so that the servers
// need no code for it and the figures are finer than the 10 ms ticks of /proc/PID/stat.
import { setTimeout as delay } from 'node:timers/promises';
import { answer } from './requests.mjs';

answer({ cpuMicros, residentBytes });
// The server under test decides when it ends, not this conversation.
process.channel?.unref();

/** CPU time of all threads since the start, user and system. */
export function cpuMicros() {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Resident memory once garbage collection has nothing more to give (needs `--expose-gc`). */
export async function residentBytes() {
  fillYoungGeneration();
  let before = Number.POSITIVE_INFINITY;
  for (let round = 0; round < SETTLE_ROUNDS; round++) {
    globalThis.gc?.();
    await delay(SETTLE_MS);
    const now = process.memoryUsage.rss();
    if (Math.abs(before - now) < SETTLED_BYTES) return now;
    before = now;
  }
  return before;
}

const SETTLE_ROUNDS = 20;
const SETTLE_MS = 150;
const SETTLED_BYTES = 65_536;

/**
 * V8 gives new objects up to 16 MiB or so, grown and first touched at times of its own choosing. Left to itself, that
 * room comes now before and now between two readings, and 10,000 connections seem to take from 0 to 3 KiB each.
 */
function fillYoungGeneration() {
  for (let round = 0; round < 3; round++) {
    const kept = [];
    for (let i = 0; i < 400_000; i++) kept.push({ i, of: [i] });
    globalThis.gc?.();
  }
}
