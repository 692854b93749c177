import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A folder that is gone when the test is over. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sidestream-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A file that is gone when the test is over; gives its path. */
export function temporaryFile(content: string | Uint8Array, name = 'file'): string {
  const file = join(temporaryFolder(), name);
  writeFileSync(file, content, { mode: 0o600 });
  return file;
}
