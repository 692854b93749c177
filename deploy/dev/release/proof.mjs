// What the image's tests last passed with: a hash in a file that is committed, so that a clean checkout knows it too. It is no
// signature. Whoever changes an input either commits the new hash after a run of their own, or leaves the run to CI, which then has it
// each time until somebody does.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, say } from '../command.mjs';
import { NODE } from '../newest-uws.mjs';

const FILE = join(ROOT, 'deploy/dev/release/passed.json');
/** What decides what is in the image and how it starts, listens and ends. All else is tested outside of it, each time. */
const INPUTS = [
  'Dockerfile',
  '.dockerignore',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'src/main.ts',
  'src/commands',
  'src/http',
  'src/workers',
  'test/image',
  'deploy/dev/release',
];

function filesOf(name) {
  if (!statSync(join(ROOT, name)).isDirectory()) return [name];
  return readdirSync(join(ROOT, name)).flatMap((entry) => filesOf(`${name}/${entry}`));
}

function hashOfInputs() {
  const hash = createHash('sha256').update(NODE);
  const files = INPUTS.flatMap(filesOf).filter((file) => join(ROOT, file) !== FILE);
  for (const file of files.sort()) hash.update(`${file}\n`).update(readFileSync(join(ROOT, file)));
  return hash.digest('hex');
}

/** Whether the inputs are what the tests passed with. */
export function isProved() {
  try {
    return JSON.parse(readFileSync(FILE, 'utf8')).inputs === hashOfInputs();
  } catch {
    return false; // ENOENT, or not JSON: as if they never had
  }
}

/** Notes that they passed with what the inputs are now. */
export function rememberProof() {
  if (isProved()) return;
  writeFileSync(FILE, `${JSON.stringify({ inputs: hashOfInputs() }, null, 2)}\n`);
  say('deploy/dev/release/passed.json is new: commit it, and CI need not test the image again.');
}
