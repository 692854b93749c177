import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileConfig } from '../support/bridge.ts';
import { type Cli, startCli, writeConfig } from '../support/cli.ts';

/** What an image says of itself, as Docker has it. */
export interface ImageConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Cmd: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly WorkingDir: string;
  readonly StopSignal: NodeJS.Signals;
  readonly ExposedPorts: Readonly<Record<string, object>>;
  readonly Labels: Readonly<Record<string, string>>;
  /** Times in nanoseconds. */
  readonly Healthcheck: {
    readonly Test: readonly string[];
    readonly Interval: number;
    readonly Timeout: number;
  };
}

export interface Image {
  /** The folder with its files. */
  readonly root: string;
  readonly config: ImageConfig;
}

const { SIDESTREAM_IMAGE } = process.env;

/** Why there is no image to test, or `undefined` where there is one. */
export const noImage: string | undefined =
  SIDESTREAM_IMAGE === undefined ? 'npm run test:release builds it and tests it' : undefined;

if (noImage !== undefined) console.warn(`The tests of the image were not run: ${noImage}.`);

/** The image under test. @throws Error where there is none */
export function readImage(): Image {
  return JSON.parse(readFileSync(SIDESTREAM_IMAGE ?? '', 'utf8'));
}

/** Every file and folder of the image, by its path as one sees it from inside. */
export function* filesOf(root: string, folder = '/'): Generator<{ path: string; isFolder: boolean }> {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name);
    yield { path, isFolder: entry.isDirectory() };
    if (entry.isDirectory()) yield* filesOf(root, path);
  }
}

export interface ContainerOptions {
  /** Another program than the image's, with its arguments. */
  readonly command?: readonly string[];
  /** How many CPUs it may use. */
  readonly cpus?: number;
}

/** A running container, which a test may look into. */
export class Container {
  readonly cli: Cli;
  readonly #bundle: string;

  constructor(cli: Cli, bundle: string) {
    this.cli = cli;
    this.#bundle = bundle;
  }

  /** Runs another program inside, and waits for its end. */
  exec(command: readonly string[]): { status: number | null; output: string } {
    const args = ['--root', join(this.#bundle, 'state'), 'exec', basename(this.#bundle), ...command];
    const { status, stdout, stderr } = spawnSync('runc', args, { encoding: 'utf8' });
    return { status, output: stdout + stderr };
  }

  /** Runs JavaScript inside; gives what it returns, by JSON. */
  evaluate(body: string): unknown {
    const script = `import fs from 'node:fs'; console.log(JSON.stringify(await (async () => { ${body} })()))`;
    const { status, output } = this.exec(['/usr/local/bin/node', '--input-type=module', '-e', script]);
    if (status !== 0) throw new Error(output);
    return JSON.parse(output);
  }
}

/** Starts the image's program with arguments; it is gone when the test is over. */
export async function startContainer(
  args: readonly string[],
  { command, cpus }: ContainerOptions = {},
): Promise<Container> {
  // Not the test's to remove: launch.sh does, when it has ended the container by what stands in it.
  const bundle = mkdtempSync(join(tmpdir(), 'sidestream-bundle-'));
  const env = {
    SIDESTREAM_BUNDLE: bundle,
    ...(command !== undefined && { SIDESTREAM_COMMAND: JSON.stringify(command) }),
    ...(cpus !== undefined && { SIDESTREAM_CPUS: `${cpus}` }),
  };
  return new Container(await startCli(args, { env }), bundle);
}

/** The same with a config; resolves when it listens. */
export async function serveInContainer(
  config: Parameters<typeof fileConfig>[0],
  options: ContainerOptions = {},
): Promise<Container> {
  const container = await startContainer(['--config', writeConfig(fileConfig(config))], options);
  await container.cli.logged('listening');
  return container;
}
