// The image, built by buildah from the Dockerfile as it is, and opened for a look inside.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, runProgram, say } from '../command.mjs';
import { ensureBaseImage } from './base-images.mjs';
import { buildah, FOLDER } from './store.mjs';

const NAME = 'localhost/sidestream:tested';
const DOCKERFILE = join(ROOT, 'Dockerfile');
/** What the tests are told of it; see {@link openImage}. */
const DESCRIPTION = join(FOLDER, 'image.json');

/**
 * The images that a Dockerfile begins with, in its order.
 * @param {string} text of the Dockerfile
 */
export function baseImages(text) {
  const values = new Map();
  const stages = new Set();
  const found = new Set();
  for (const line of text.split('\n')) {
    const [, variable, value] = /^ARG (\w+)=(\S*)$/.exec(line) ?? [];
    if (variable !== undefined) values.set(variable, value);
    const [, from, stage] = /^FROM (\S+)(?: AS (\S+))?$/i.exec(line) ?? [];
    if (from === undefined) continue;
    const name = from.replaceAll(/\$\{(\w+)\}/g, (_, used) => values.get(used) ?? '');
    if (!stages.has(name)) found.add(name);
    if (stage !== undefined) stages.add(stage);
  }
  return [...found];
}

async function revision() {
  const { code, output } = await runProgram('git', ['rev-parse', 'HEAD']);
  return code === 0 ? output : 'unknown';
}

/** Builds it anew, on base images that are made once. */
export async function buildImage() {
  await tidyUp();
  for (const name of baseImages(readFileSync(DOCKERFILE, 'utf8'))) await ensureBaseImage(name);
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const values = { VERSION: version, REVISION: await revision(), CREATED: new Date().toISOString() };
  const told = Object.entries(values).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);
  say(`buildah build ${NAME}`);
  // By chroot and not by a runtime: the steps need nothing else, and it works inside a container too. `docker`: OCI's format has no HEALTHCHECK.
  const how = ['--isolation', 'chroot', '--pull-never', '--format', 'docker', '--file', DOCKERFILE];
  await buildah(['bud', ...how, ...told, '--tag', NAME, ROOT], { show: 'stderr' });
}

/**
 * Mounts it for as long as `work` takes.
 * @template T
 * @param {(description: string, image: { root: string, config: Record<string, unknown>, size: string }) => Promise<T>} work is handed a
 *   file, and what stands in it as JSON: the folder with the image's files, what the image says of itself, its size
 * @returns {Promise<T>}
 */
export async function openImage(work) {
  const container = await buildah(['from', '--pull-never', NAME]);
  try {
    const { Docker } = JSON.parse(await buildah(['inspect', '--type', 'image', NAME]));
    const image = {
      root: await buildah(['mount', container]),
      config: Docker.config,
      size: await sizeOf(NAME),
    };
    writeFileSync(DESCRIPTION, JSON.stringify(image));
    return await work(DESCRIPTION, image);
  } finally {
    rmSync(DESCRIPTION, { force: true });
    await buildah(['rm', container]);
    await buildah(['rmi', NAME]);
    await tidyUp();
  }
}

/** Removes what has no name: stages, and what a run left that was killed. The base images stay. */
async function tidyUp() {
  await buildah(['rm', '--all']);
  await buildah(['rmi', '--prune']);
}

/** Not compressed, such as `224 MB`. */
async function sizeOf(name) {
  const [{ size }] = JSON.parse(await buildah(['images', '--json', name]));
  return size;
}
