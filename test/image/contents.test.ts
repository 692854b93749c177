import { lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { filesOf, type Image, noImage, readImage } from './image.ts';

const read = (name: string) => JSON.parse(readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8'));

interface LockedPackage {
  readonly version: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
}

const SETUID_OR_SETGID = 0o6000;
const WRITABLE_BY_OTHERS = 0o022;
const READABLE_BY_ALL = 0o004;
/** What builds, fetches or is only of use to who develops. */
const TOOLS = /\/(npm|npx|yarn|corepack|pnpm|tsc|gcc|cc|g\+\+|make|git|curl|wget|python3?)$/;
const NOT_TO_RUN = /\.([cm]?ts|map)$|\/(tests?|benchmarks)\/|\.test\.[cm]?js$/;

describe.skipIf(noImage !== undefined)('in the image', () => {
  let image: Image;
  let paths: string[];
  const statOf = (path: string) => lstatSync(join(image.root, path));
  beforeAll(() => {
    image = readImage();
    paths = [...filesOf(image.root)].filter(({ isFolder }) => !isFolder).map(({ path }) => path);
  });

  it('are the packages of the lock file that the program needs, one uWebSockets.js binary, and nothing else', () => {
    const locked = Object.entries<LockedPackage>(read('package-lock.json').packages)
      .filter(([path, { dev, optional }]) => path !== '' && dev !== true && optional !== true)
      .map(([path, { version }]) => `${path} ${version}`);
    const { version } = read('package-lock.json').packages['node_modules/uWebSockets.js'];
    const binary = `node_modules/@uwsjs/linux-${process.arch}-24 ${version}`;
    const manifests = paths.filter((path) => /node_modules\/(@[^/]+\/)?[^/]+\/package\.json$/.test(path));
    const found = manifests.map((path) => {
      const manifest = JSON.parse(readFileSync(join(image.root, path), 'utf8'));
      return `${path.slice('/app/'.length, -'/package.json'.length)} ${manifest.version}`;
    });
    expect(found.sort()).toEqual([...locked, binary].sort());
  });

  it('are no sources, types, source maps or tests, and of the checkout only what runs', () => {
    const ours = paths.filter((path) => path.startsWith('/app/'));
    expect(ours.filter((path) => NOT_TO_RUN.test(path))).toEqual([]);
    const top = new Set(ours.map((path) => path.split('/')[2]));
    expect([...top].sort()).toEqual(['LICENSE', 'dist', 'node_modules', 'package.json']);
    expect(ours).toContain('/app/dist/main.js');
  });

  it('are no package managers and no compilers', () => {
    expect(paths.filter((path) => TOOLS.test(path))).toEqual([]);
    expect(paths.filter((path) => path.includes('/lib/node_modules/'))).toEqual([]);
  });

  it('is nothing that gives anybody more rights', () => {
    expect(paths.filter((path) => (statOf(path).mode & SETUID_OR_SETGID) !== 0)).toEqual([]);
  });

  it('is nothing of the program that it could change, or could not read', () => {
    const ours = paths
      .filter((path) => path.startsWith('/app/') || path === '/usr/local/bin/node')
      .filter((path) => !statOf(path).isSymbolicLink());
    const writable = ours.filter((path) => {
      const { mode, uid, gid } = statOf(path);
      return (mode & WRITABLE_BY_OTHERS) !== 0 || uid !== 0 || gid !== 0;
    });
    expect(writable).toEqual([]);
    expect(ours.filter((path) => (statOf(path).mode & READABLE_BY_ALL) === 0)).toEqual([]);
  });

  it('is nothing of the machine that built it', () => {
    const left = paths.filter((path) =>
      /^\/(build|root\/|tmp\/)|\.npmrc$|\/etc\/npmrc$|trusted\.pem$/.test(path),
    );
    expect(left.filter((path) => !/^\/root\/\.(bashrc|profile)$/.test(path))).toEqual([]);
  });
});

describe.skipIf(noImage !== undefined)('the image says of itself', () => {
  const { version } = read('package.json');

  it('what it is, in the labels that registries read', () => {
    expect(readImage().config.Labels).toMatchObject({
      'org.opencontainers.image.title': 'Sidestream',
      'org.opencontainers.image.description': expect.stringMatching(/\S/),
      'org.opencontainers.image.licenses': read('package.json').license,
      'org.opencontainers.image.version': version,
      'org.opencontainers.image.revision': expect.stringMatching(/^([0-9a-f]{40}|unknown)$/),
      'org.opencontainers.image.created': expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    });
  });

  it('that it is not root, by a number; which ports it has; and that no shell is between it and its program', () => {
    const { User, ExposedPorts, Entrypoint, Cmd, Healthcheck, WorkingDir } = readImage().config;
    expect(User).toBe('65532:65532');
    expect(Object.keys(ExposedPorts).sort()).toEqual(['8080/tcp', '9090/tcp']);
    expect(Entrypoint).toEqual(['/usr/local/bin/node', '/app/dist/main.js']);
    expect(Cmd).toEqual(['serve']);
    expect(Healthcheck.Test).toEqual(['CMD', ...Entrypoint, 'health']);
    expect(WorkingDir).toBe('/etc/sidestream');
  });
});
