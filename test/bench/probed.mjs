// Node under test: how it is started, and what it then tells of itself (probe.mjs).

const PROBE = new URL('probe.mjs', import.meta.url).href;

/**
 * V8's room for new objects has from the start the size that it grows to under load: where it grew, or shrank again,
 * between two readings, 10,000 connections would seem to take 2 KiB more or less each.
 */
export const PROBED = ['--expose-gc', '--min-semi-space-size=16', '--import', PROBE];

/** @param {import('./processes.mjs').Process} server */
export const probed = (server) => ({
  cpuMicros: () => server.ask('cpuMicros'),
  startAllocations: () => server.ask('startAllocations'),
  stopAllocations: () => server.ask('stopAllocations'),
  residentBytes: () => server.ask('residentBytes'),
  heldBytes: () => server.ask('heldBytes'),
});

/** The same for a server whose profile is wanted. @param {import('./processes.mjs').Process} server */
export const profiled = (server) => ({
  startProfile: () => server.ask('startProfile'),
  stopProfile: () => server.ask('stopProfile'),
});
