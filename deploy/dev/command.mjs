// Programs: finding them, running them, and the error that says what a machine lacks.
import { spawn } from 'node:child_process';
import { accessSync, constants as modes, statSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Where what we fetch and our locks are kept; not under version control. A copy of the checkout is given the checkout's. */
export const CACHE = process.env.SIDESTREAM_CACHE ?? join(ROOT, '.cache');

/** Something that is missing and what to do about it: shown as it is, without a stack. */
export class SetupError extends Error {
  /** @override */
  name = 'SetupError';
}

/** One line about what is being done; on stderr, so that stdout stays the job's own. */
export function say(text) {
  process.stderr.write(`› ${text}\n`);
}

function isExecutable(file) {
  try {
    accessSync(file, modes.X_OK);
    return statSync(file).isFile();
  } catch {
    return false; // ENOENT, EACCES, ENOTDIR: not a program
  }
}

/**
 * The first of `names` on the PATH or in one of `places` (folders outside the PATH, such as /usr/sbin), as a full
 * path, or undefined.
 * @param {readonly string[]} names
 * @param {{ path?: string | undefined, places?: readonly string[] }} [where]
 */
export function findProgram(names, { path = process.env.PATH, places = [] } = {}) {
  const folders = [...(path ?? '').split(delimiter).filter(Boolean), ...places];
  for (const name of names) {
    for (const folder of folders) {
      const file = join(folder, name);
      if (isExecutable(file)) return file;
    }
  }
  return undefined;
}

/**
 * A program named by the environment, which must then be there: a wrong path is not silently replaced by another program.
 * @param {string} variable
 * @param {NodeJS.ProcessEnv} [env]
 * @throws {SetupError} when it names no executable file
 */
export function namedProgram(variable, env = process.env) {
  const file = env[variable];
  if (!file) return undefined;
  if (isExecutable(file)) return file;
  throw new SetupError(`${variable}=${file} is not an executable file.`);
}

/**
 * Runs a program to its end. `output` is what it wrote when `quiet`; otherwise it writes to our own stderr
 * (`show: 'stderr'`, for set-up) or to our stdout and stderr (`show: 'all'`).
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ show?: 'nothing' | 'stderr' | 'all', cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<{ code: number, output: string }>} code 127 when it cannot be started, 128 + n after a signal n
 */
export function runProgram(program, args, { show = 'nothing', cwd = ROOT, env = process.env } = {}) {
  const streams = { nothing: ['pipe', 'pipe'], stderr: [2, 2], all: ['inherit', 'inherit'] }[show];
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', ...streams] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    child.on('error', (error) => resolve({ code: 127, output: error.message }));
    child.on('close', (code, signal) => {
      resolve({ code: code ?? 128 + (constants.signals[signal] ?? 0), output: output.trim() });
    });
  });
}
