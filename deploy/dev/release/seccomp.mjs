// The system calls that containers may make unless they are told otherwise: the profile that comes with buildah, of the same descent as
// Docker's and containerd's (Kubernetes: RuntimeDefault). It is written for every machine; runc wants it for this one.
import { existsSync, readFileSync } from 'node:fs';

const FILE = '/usr/share/containers/seccomp.json';
const ARCHITECTURES = { x64: 'amd64', arm64: 'arm64' };

/** Whether a rule is meant for a process without capabilities on this machine. */
function isOurs({ includes = {}, excludes = {} }) {
  const here = ARCHITECTURES[process.arch];
  const wants =
    (includes.caps ?? []).length > 0 || (includes.arches?.length > 0 && !includes.arches.includes(here));
  return !wants && !excludes.arches?.includes(here);
}

/** The `linux.seccomp` of a bundle, or `undefined` where there is no profile. */
export function seccomp() {
  if (!existsSync(FILE)) return undefined;
  const { defaultAction, defaultErrnoRet, archMap, syscalls } = JSON.parse(readFileSync(FILE, 'utf8'));
  const native = { x64: 'SCMP_ARCH_X86_64', arm64: 'SCMP_ARCH_AARCH64' }[process.arch];
  const { subArchitectures } = archMap.find(({ architecture }) => architecture === native);
  return {
    defaultAction,
    defaultErrnoRet,
    architectures: [native, ...(subArchitectures ?? [])],
    syscalls: syscalls
      .filter(isOurs)
      .map(({ names, action, errnoRet, args }) => ({ names, action, errnoRet, args: args ?? [] })),
  };
}
