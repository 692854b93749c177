import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cpuQuota, wholeCpus, workerCount } from '../../src/workers/cpus.ts';
import { temporaryFolder } from '../support/folder.ts';

/** Files as the kernel has them; gives where. */
function system(self: string, files: Readonly<Record<string, string>>) {
  const root = temporaryFolder();
  for (const [path, text] of Object.entries({ ...files, self })) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return { self: join(root, 'self'), root };
}

describe('the CPUs that a container may use', () => {
  it.each([
    ['half a CPU, by version 2', '0::/\n', { 'cpu.max': '50000 100000\n' }, 0.5],
    ['no limit, by version 2', '0::/\n', { 'cpu.max': 'max 100000\n' }, undefined],
    [
      'the smallest of a group and those above it',
      '0::/pod/app\n',
      { 'pod/app/cpu.max': 'max 100000', 'pod/cpu.max': '150000 100000', 'cpu.max': '400000 100000' },
      1.5,
    ],
    ['the path of the host, which is not there', '0::/kubepods/x\n', { 'cpu.max': '200000 100000' }, 2],
    [
      'a quota, by version 1',
      '4:memory:/x\n3:cpu,cpuacct:/docker/y\n0::/\n',
      { 'cpu,cpuacct/cpu.cfs_quota_us': '250000\n', 'cpu,cpuacct/cpu.cfs_period_us': '100000\n' },
      2.5,
    ],
    [
      'no quota, by version 1',
      '1:cpu:/\n',
      { 'cpu/cpu.cfs_quota_us': '-1\n', 'cpu/cpu.cfs_period_us': '100000\n' },
      undefined,
    ],
    ['files that nobody expects', '0::/\nrubbish\n', { 'cpu.max': 'much\n' }, undefined],
    ['none of the files', '', {}, undefined],
  ])('are read: %s', (_, self, files, cpus) => {
    expect(cpuQuota(system(self, files))).toBe(cpus);
  });

  it('are none to be told where there is no such file', () => {
    expect(cpuQuota({ self: '/nowhere/self', root: '/nowhere' })).toBeUndefined();
  });
});

describe('the number of workers', () => {
  it.each([
    [8, undefined, 8],
    [8, 0.5, 1],
    [8, 1.9, 1],
    [8, 4, 4],
    [2, 16, 2],
    [1, undefined, 1],
  ])('for %i CPUs and a quota of %s is %i', (available, quota, count) => {
    expect(wholeCpus(available, quota)).toBe(count);
  });

  it('is what the config says, or for auto what the machine has, and at least one', () => {
    expect(workerCount(7)).toBe(7);
    expect(workerCount('auto')).toBeGreaterThanOrEqual(1);
  });
});
