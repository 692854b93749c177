// Programs that only the tests need. Where they cannot be had, the tests that need them say so and do not run.

import { findProgram, namedProgram, runProgram, SetupError } from './command.mjs';
import { aptInstall, mayInstall } from './debian.mjs';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const PLACES = [
  '/usr/bin',
  '/snap/bin',
  '/Applications/Google Chrome.app/Contents/MacOS',
  '/Applications/Chromium.app/Contents/MacOS',
];

const find = () =>
  findProgram(NAMES) ?? findProgram([...NAMES, 'Google Chrome', 'Chromium'], { path: '', places: PLACES });

/** Ubuntu's chromium-browser is a script that wants a snap: a file that is there and a browser that is not. */
async function whyNotRunning(file) {
  const { code, output } = await runProgram(file, ['--version']);
  return code === 0 ? undefined : `${file} --version failed: ${output.split('\n')[0]}`;
}

/**
 * A Chromium for the end-to-end tests: CHROMIUM_BIN, the PATH, the usual places, else Debian's package where we are root.
 * @returns {Promise<{ file: string } | { why: string }>}
 * @throws {SetupError} when CHROMIUM_BIN names no program
 */
export async function ensureChromium(env = process.env) {
  let file = namedProgram('CHROMIUM_BIN', env) ?? find();
  if (file === undefined) {
    if (!mayInstall(env)) return { why: 'there is no Chromium, and SIDESTREAM_NO_INSTALL is set' };
    const why = await aptInstall('chromium');
    file = find();
    if (file === undefined) return { why: `there is no Chromium, and it cannot be installed: ${why}` };
  }
  const why = await whyNotRunning(file);
  return why === undefined ? { file } : { why };
}

/**
 * openssl, with which tests make their certificates.
 * @throws {SetupError}
 */
export async function ensureOpenssl(env = process.env) {
  if (findProgram(['openssl']) !== undefined) return;
  const why = mayInstall(env) ? await aptInstall('openssl') : 'SIDESTREAM_NO_INSTALL is set';
  if (findProgram(['openssl']) === undefined)
    throw new SetupError(`The tests need openssl: ${why}. Please install it.`);
}
