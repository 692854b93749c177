// Whether containers can be run here at all, found out with a program of this machine's own: what fails later is the image's fault.
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { runProgram } from '../command.mjs';

/** What a program of this machine's is made of. */
const FOLDERS = ['/bin', '/lib', '/lib64', '/usr'].filter((folder) => existsSync(folder));

const specOf = (root) => ({
  ociVersion: '1.0.2',
  process: { args: ['/bin/true'], cwd: '/', user: { uid: 0, gid: 0 } },
  root: { path: root },
  mounts: [
    { destination: '/proc', type: 'proc', source: 'proc' },
    ...FOLDERS.map((folder) => ({
      destination: folder,
      type: 'bind',
      source: realpathSync(folder),
      options: ['bind', 'ro'],
    })),
  ],
  linux: { namespaces: [{ type: 'pid' }, { type: 'mount' }] },
});

/** @returns {Promise<string | undefined>} why they cannot */
export async function whyNoContainers() {
  const bundle = mkdtempSync(join(tmpdir(), 'sidestream-probe-'));
  const root = join(bundle, 'root');
  mkdirSync(root);
  try {
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(specOf(root)));
    const args = ['--root', join(bundle, 'state'), 'run', '--bundle', bundle, basename(bundle)];
    const { code, output } = await runProgram('runc', args);
    return code === 0 ? undefined : `runc cannot run a container here: ${output.split('\n').at(-1)}`;
  } finally {
    rmSync(bundle, { recursive: true, force: true });
  }
}
