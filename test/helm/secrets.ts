import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { selfSigned } from '../support/certificate.ts';
import { makeCreds } from '../support/credentials.ts';
import { temporaryFile, temporaryFolder } from '../support/folder.ts';

/**
 * A rendered config with the files and the environment that a pod would have: what lies below /run/secrets lies in a folder of
 * this test, and a variable holds something that may be a secret.
 */
export function provideFiles(text: string): { config: string; env: Record<string, string> } {
  const folder = temporaryFolder();
  const moved = text.replaceAll('/run/secrets/', `${folder}/`);
  for (const [file] of text.matchAll(/\/run\/secrets\/[\w./-]+/g)) {
    const path = join(folder, file.slice('/run/secrets/'.length));
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, contentOf(path));
  }
  const names = [...text.matchAll(/\$\{(\w+)\}/g)].flatMap(([, name]) => (name === undefined ? [] : [name]));
  const env = Object.fromEntries(names.map((name) => [name, 'a-secret-of-no-importance-0123456789abcdef']));
  return { config: temporaryFile(moved, 'config.yaml'), env };
}

function contentOf(path: string): string {
  if (path.endsWith('.crt')) return readFileSync(selfSigned().certFile, 'utf8');
  if (path.endsWith('.key')) return readFileSync(selfSigned().keyFile, 'utf8');
  return path.endsWith('.creds') ? makeCreds().creds : 'a-secret-of-no-importance-0123456789abcdef';
}
