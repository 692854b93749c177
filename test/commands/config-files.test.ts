import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { fingerprintNow, fingerprintOf, readAtStart } from '../../src/commands/config-files.ts';
import { parseConfig, readConfig } from '../../src/config/load.ts';
import { poll } from '../support/poll.ts';

vi.mock('../../src/config/load.ts', { spy: true });

test('a config that changes while the process starts and reads it is seen to have changed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidestream-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'config.yaml');
  const text = 'channels: { news: { channel: news, subject: news, access: public } }';
  writeFileSync(file, text);
  vi.mocked(readConfig).mockImplementationOnce(() => {
    writeFileSync(file, `${text}\n`);
    return parseConfig(text, file, {});
  });
  expect(readAtStart(file).seen).not.toBe(await fingerprintOf([file]));
  expect(readAtStart(file).seen).toBe(await fingerprintOf([file]));
});

test('a file that is written over by another one of its size and its time is seen to have changed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidestream-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'config.yaml');
  const write = (text: string) => {
    writeFileSync(file, text);
    // As `cp -p` does, and whatever unpacks a reproducible archive.
    utimesSync(file, 1_000_000_000, 1_000_000_000);
  };
  write('limits: { connections: 1000 }');
  const before = fingerprintNow([file]);
  expect(await fingerprintOf([file])).toBe(before);
  // More than once: the clock of the file system may not have gone on.
  await poll('another fingerprint', async () => {
    write('limits: { connections: 2000 }');
    return (await fingerprintOf([file])) !== before;
  });
});
