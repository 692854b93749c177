// Buildah with a store of its own below .cache/: the images of the machine's owner are neither seen nor touched.
import { join } from 'node:path';
import { CACHE, runProgram, SetupError } from '../command.mjs';

/** Where all of it is kept. Remove it to begin from nothing. */
export const FOLDER = join(CACHE, 'release');

// vfs copies where others stack, which takes space and works on every file system, also inside a container.
const STORE = [
  '--root',
  join(FOLDER, 'storage'),
  '--runroot',
  join(FOLDER, 'run'),
  '--storage-driver',
  'vfs',
];

/**
 * Runs buildah to its end.
 * @param {readonly string[]} args
 * @param {{ show?: 'stderr' }} [options] whether it writes to our standard error
 * @returns {Promise<string>} what it wrote otherwise
 * @throws {SetupError} when it fails
 */
export async function buildah([command, ...args], options) {
  const { code, output } = await runProgram('buildah', [...STORE, command, ...args], options);
  if (code !== 0) throw new SetupError(`buildah ${command} failed (exit ${code}): ${output}`);
  return output;
}

/** Whether the store has an image. */
export async function hasImage(name) {
  const { code } = await runProgram('buildah', [...STORE, 'inspect', '--type', 'image', name]);
  return code === 0;
}
