// `npm run test:release`: all that a release needs and `npm test` has no time for. Builds the image from the Dockerfile and runs the
// end-to-end tests, and those of the image, with the program inside it, without a container engine or a registry of images; then the chart's
// tests with kubectl-validate, and the publishers of every language.
import { join } from 'node:path';
import { testChart } from './chart.mjs';
import { findProgram, ROOT, runProgram, SetupError, say } from './command.mjs';
import { aptInstall, debianMirror, mayInstall } from './debian.mjs';
import { ensureDependencies } from './dependencies.mjs';
import { withLock } from './lock.mjs';
import { ensureNatsServer } from './nats-server.mjs';
import { testPublishers } from './publishers.mjs';
import { buildImage, openImage } from './release/image.mjs';
import { isProved, rememberProof } from './release/proof.mjs';
import { whyNoContainers } from './release/runtime.mjs';
import { ensureChromium, ensureOpenssl } from './test-programs.mjs';

const TOOLS = ['debootstrap', 'buildah', 'runc'];
const TESTS = ['test/e2e/', 'test/image/', '--exclude', 'test/e2e/demo*.test.ts'];

/** Why it cannot be done here. */
async function whyNot() {
  if (process.platform !== 'linux') return 'only Linux is provided for';
  if (process.getuid() !== 0) return 'only root may make a Debian root and run containers without an engine';
  if ((await debianMirror()) === undefined) return "this machine takes no packages from a mirror of Debian's";
  for (const name of TOOLS) {
    if (findProgram([name]) !== undefined) continue;
    const why = mayInstall() ? await aptInstall(name) : 'SIDESTREAM_NO_INSTALL is set';
    if (why !== undefined) return `there is no ${name}: ${why}`;
  }
  return whyNoContainers();
}

/** What the tests read from the environment. The browser and nats-server stay outside of the image. */
async function environment(description, chromium) {
  await ensureOpenssl();
  return {
    ...process.env,
    NATS_SERVER_BIN: await ensureNatsServer(),
    ...(chromium.why ? { SIDESTREAM_NO_CHROMIUM: chromium.why } : { CHROMIUM_BIN: chromium.file }),
    SIDESTREAM_IMAGE: description,
    SIDESTREAM_NODE: process.execPath,
    SIDESTREAM_PROGRAM: join(ROOT, 'deploy/dev/release/launch.sh'),
  };
}

async function testImage() {
  await ensureDependencies();
  await buildImage();
  return openImage(async (description, { size }) => {
    say(`the image has ${size}, not compressed`);
    const chromium = await ensureChromium();
    if (chromium.why) say(`The tests in a browser will not run: ${chromium.why}.`);
    const env = await environment(description, chromium);
    say('tests with the image’s program; those of the demo try what a checkout has and an image has not');
    const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
    const { code } = await runProgram(process.execPath, [vitest, 'run', ...TESTS], { show: 'all', env });
    if (code === 0 && !chromium.why) rememberProof();
    return code;
  });
}

async function proveImage() {
  const why = await whyNot();
  if (why === undefined) return withLock('release', testImage);
  say(`The image is not tested: ${why}.`);
  return 0;
}

/**
 * @param {readonly string[]} args `--if-changed`: the image alone, and only where what it is made of is not what it passed with
 * @returns {Promise<number>} the first exit code that is not 0; 0 where it cannot run here, which is said
 */
export async function release(args) {
  const unknown = args.find((arg) => arg !== '--if-changed');
  if (unknown !== undefined) throw new SetupError(`release takes --if-changed and no ${unknown}.`);
  // Where Debian has what only root runs, and not every shell of root's looks.
  process.env.PATH = `${process.env.PATH}:/usr/sbin:/sbin`;
  if (!args.includes('--if-changed'))
    return (await proveImage()) || (await testChart()) || testPublishers([]);
  if (!isProved()) return proveImage();
  say(
    'The image is not tested: what it is made of is as it was when it passed (deploy/dev/release/passed.json).',
  );
  return 0;
}
