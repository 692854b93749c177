// Writes an OCI bundle for one run of the image's program, as restricted as it is meant to be run: called by launch.sh with the
// bundle's folder, then the program's arguments.
//   SIDESTREAM_IMAGE     the image's description (image.mjs)
//   SIDESTREAM_COMMAND   another program and its arguments, as JSON
//   SIDESTREAM_CPUS      how many CPUs it may use, such as 1.5; default: all
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { seccomp } from './seccomp.mjs';

const PERIOD_US = 100_000;
const READ_ONLY = ['nosuid', 'noexec', 'nodev', 'ro'];

const [bundle, ...given] = process.argv.slice(2);
const { root, config } = JSON.parse(readFileSync(process.env.SIDESTREAM_IMAGE, 'utf8'));
const [uid, gid] = config.User.split(':').map(Number);

/** The folder of `--config FILE`, mounted where the image looks for its config, live as a volume of Kubernetes is; and the other arguments. */
function placeConfig(args) {
  const at = args.findIndex((arg) => arg === '--config' || arg === '-c');
  if (at < 0) return { rest: args, mounts: [] };
  const folder = dirname(args[at + 1]);
  // A test's own, and so for its eyes alone; the program is another user.
  chmodSync(folder, 0o755);
  chmodSync(args[at + 1], 0o644);
  const volume = {
    destination: config.WorkingDir,
    type: 'bind',
    source: folder,
    options: ['bind', ...READ_ONLY],
  };
  return { rest: args.toSpliced(at, 2), mounts: [volume] };
}

const { rest, mounts } = placeConfig(given);
const args = process.env.SIDESTREAM_COMMAND
  ? JSON.parse(process.env.SIDESTREAM_COMMAND)
  : [...config.Entrypoint, ...(rest.length > 0 ? rest : config.Cmd)];
const cpus = Number(process.env.SIDESTREAM_CPUS ?? 0);
const bounds = ['bounding', 'effective', 'inheritable', 'permitted', 'ambient'];

// No network namespace: nats-server, the browser and the tests are outside. Nothing is writable for the program, no /tmp and no /dev/shm.
const spec = {
  ociVersion: '1.0.2',
  process: {
    args,
    cwd: config.WorkingDir,
    env: config.Env,
    user: { uid, gid },
    capabilities: Object.fromEntries(bounds.map((set) => [set, []])),
    noNewPrivileges: true,
  },
  root: { path: root, readonly: true },
  mounts: [
    { destination: '/proc', type: 'proc', source: 'proc' },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=64k'],
    },
    { destination: '/sys', type: 'bind', source: '/sys', options: ['bind', ...READ_ONLY] },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: READ_ONLY },
    ...mounts,
  ],
  linux: {
    namespaces: ['pid', 'mount', 'ipc', 'uts'].map((type) => ({ type })),
    cgroupsPath: `/${basename(bundle)}`,
    ...(cpus > 0 && { resources: { cpu: { period: PERIOD_US, quota: cpus * PERIOD_US } } }),
    seccomp: seccomp(),
    maskedPaths: ['/proc/kcore', '/proc/keys'],
    readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
  },
};
writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));
