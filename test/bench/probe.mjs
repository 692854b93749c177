// Loaded into every Node process under test with `--import`: tells what the process itself uses, so that the servers
// need no code for it and the figures are finer than the 10 ms ticks of /proc/PID/stat.
import { setTimeout as delay } from 'node:timers/promises';
import { GCProfiler } from 'node:v8';
import { sampler } from './profile.mjs';
import { answer } from './requests.mjs';

// Sidestream's workers inherit it, but their channel is to their primary process: who listens too early takes its first words.
if (process.argv[2] !== 'worker') {
  answer({ cpuMicros, residentBytes, heldBytes, startAllocations, stopAllocations, ...sampler() });
  // The server under test decides when it ends, not this conversation.
  process.channel?.unref();
}

/** CPU time of all threads since the start, user and system. */
export function cpuMicros() {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Resident memory once garbage collection has nothing more to give (needs `--expose-gc`). */
export async function residentBytes() {
  fillYoungGeneration();
  let before = Number.POSITIVE_INFINITY;
  let steady = 0;
  for (let round = 0; round < SETTLE_ROUNDS && steady < STEADY_READINGS; round++) {
    globalThis.gc?.();
    await delay(SETTLE_MS);
    const now = process.memoryUsage.rss();
    steady = Math.abs(before - now) < SETTLED_BYTES ? steady + 1 : 0;
    before = now;
  }
  return before;
}

/** What is held on the JavaScript heap and, of buffers, outside it, after garbage collection. */
function heldBytes() {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const SETTLE_ROUNDS = 20;
const SETTLE_MS = 100;
const SETTLED_BYTES = 65_536;
/** V8 gives pages back from a thread of its own: on a busy machine one quiet moment is not the end of it. */
const STEADY_READINGS = 3;

/** Touches all of V8's room for new objects, so that the first reading holds it as well as the second. */
function fillYoungGeneration() {
  const kept = new Array(1000);
  for (let i = 0; i < 2_000_000; i++) kept[i % kept.length] = { i, of: [i] };
  return kept.length;
}

let profiler = new GCProfiler();
let usedBytes = 0;

/**
 * From here on what is taken of the JavaScript heap is counted. A full collection first: of one that falls into the
 * window, what V8 frees later, page by page, would not be seen.
 */
function startAllocations() {
  globalThis.gc?.();
  profiler = new GCProfiler();
  profiler.start();
  usedBytes = process.memoryUsage().heapUsed;
}

/** Bytes of JavaScript heap taken since: what there is more of now, and all that was collected meanwhile. */
function stopAllocations() {
  const grownBytes = process.memoryUsage().heapUsed - usedBytes;
  const used = ({ heapStatistics }) => heapStatistics.usedHeapSize;
  return profiler
    .stop()
    .statistics.reduce((bytes, { beforeGC, afterGC }) => bytes + used(beforeGC) - used(afterGC), grownBytes);
}
