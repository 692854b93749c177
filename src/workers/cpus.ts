import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { posix } from 'node:path';

/** Where the kernel says what a process may use; tests have their own. */
export interface CgroupFiles {
  /** Of the process: `/proc/self/cgroup`. */
  readonly self: string;
  /** Where the hierarchies are mounted: `/sys/fs/cgroup`. */
  readonly root: string;
}

const FILES: CgroupFiles = { self: '/proc/self/cgroup', root: '/sys/fs/cgroup' };

/** How many workers `workers` means: for `auto` one for each whole CPU that the process may use, and at least one. */
export function workerCount(workers: number | 'auto'): number {
  return workers === 'auto' ? wholeCpus(availableParallelism(), cpuQuota()) : workers;
}

/** A part of a CPU is worth no worker: half a CPU is one process, and so is one and a half. */
export function wholeCpus(available: number, quota: number | undefined): number {
  return Math.max(1, Math.min(available, Math.floor(quota ?? available)));
}

/**
 * CPUs that the container may use over time, such as 0.5, or `undefined` where nothing limits it. `availableParallelism` of
 * older versions of Node knows only on which CPUs the process may run. The smallest of the process's group and those above it counts.
 */
export function cpuQuota(files: CgroupFiles = FILES): number | undefined {
  const quotas = groupsOf(files.self).flatMap(({ controllers, path }) => {
    const isV2 = controllers === '';
    if (!isV2 && !controllers.split(',').includes('cpu')) return [];
    const read = isV2 ? (folder: string) => v2Quota(folder) : (folder: string) => v1Quota(folder);
    const mounts = isV2 ? [''] : ['cpu', 'cpu,cpuacct', 'cpuacct,cpu'];
    return mounts.flatMap((mount) =>
      upwards(path).map((at) => read(posix.join(files.root, mount, at)) ?? []),
    );
  });
  const smallest = Math.min(...quotas.flat());
  return Number.isFinite(smallest) ? smallest : undefined;
}

/** Lines `hierarchy:controllers:path`; of version 2 the controllers are empty. cgroups(7) */
function groupsOf(file: string): { readonly controllers: string; readonly path: string }[] {
  return (textOf(file) ?? '').split('\n').flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    return controllers === undefined || path === undefined ? [] : [{ controllers, path }];
  });
}

/** `/a/b` → `/a/b`, `/a`, `/`. In a container the path may be the host's, and then only the last is there. */
function upwards(path: string): string[] {
  return path === '/' ? ['/'] : [path, ...upwards(posix.dirname(path))];
}

/** `cpu.max`: `50000 100000`, or `max 100000`. */
function v2Quota(folder: string): number | undefined {
  const [quota, period] = (textOf(posix.join(folder, 'cpu.max')) ?? '').trim().split(' ').map(Number);
  return share(quota, period);
}

/** The quota is -1 where there is none. */
function v1Quota(folder: string): number | undefined {
  const [quota, period] = ['cpu.cfs_quota_us', 'cpu.cfs_period_us'].map((name) =>
    Number(textOf(posix.join(folder, name)) ?? Number.NaN),
  );
  return share(quota, period);
}

function share(quota = Number.NaN, period = Number.NaN): number | undefined {
  return quota > 0 && period > 0 ? quota / period : undefined;
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // ENOENT, ENOTDIR: no such group here, or not Linux.
    return undefined;
  }
}
