import { parse, stringify } from 'yaml';
import type { Cli } from '../support/cli.ts';
import { startCli } from '../support/cli.ts';
import { temporaryFile } from '../support/folder.ts';
import { at, configOf, type KubernetesObject, listAt, only } from './chart.ts';

/** What the chart's pod would run, run here. */
export interface Running {
  readonly cli: Cli;
  readonly configFile: string;
  readonly httpPort: number;
  readonly opsPort: number;
}

interface Surroundings {
  /** In place of the server that the config names. */
  readonly natsUrl: string;
  /** What the pod's Secrets would hold. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Starts the program with the rendered ConfigMap, on ports that the kernel chose; the config's other keys are as they are. It is gone
 * when the test is over.
 */
export async function startPod(
  objects: readonly KubernetesObject[],
  { natsUrl, env = {} }: Surroundings,
): Promise<Running> {
  const config: Record<string, Record<string, unknown>> = parse(configOf(objects));
  const moved = {
    ...config,
    http: { ...config.http, listen: '127.0.0.1:0' },
    ops: { ...config.ops, listen: '127.0.0.1:0' },
    nats: { ...config.nats, servers: [natsUrl] },
  };
  const configFile = temporaryFile(stringify(moved), 'config.yaml');
  const cli = await startCli(['serve', '--config', configFile], { env });
  const { http, ops } = await cli.logged('listening');
  return { cli, configFile, httpPort: Number(at(http, 'port')), opsPort: Number(at(ops, 'port')) };
}

/** The paths that the kubelet would ask, by the names of the probes. */
export function probePaths(objects: readonly KubernetesObject[]): Record<string, unknown> {
  const container = containerOf(objects);
  const kinds = ['startupProbe', 'livenessProbe', 'readinessProbe'];
  return Object.fromEntries(kinds.map((kind) => [kind, at(container, kind, 'httpGet', 'path')]));
}

const containerOf = (objects: readonly KubernetesObject[]) =>
  at(only(objects, 'Deployment').spec, 'template', 'spec', 'containers', 0);

/** The program that `helm test` runs: Node's arguments, and its environment. */
export function testPod(objects: readonly KubernetesObject[]): {
  args: string[];
  env: Record<string, string>;
} {
  const [container] = listAt(only(objects, 'Pod', '-test').spec, 'containers');
  const [, ...options] = listAt(container, 'command').map(String);
  const variables = listAt(container, 'env').map((each) => [
    String(at(each, 'name')),
    String(at(each, 'value')),
  ]);
  return {
    args: [...options, ...listAt(container, 'args').map(String)],
    env: Object.fromEntries(variables),
  };
}
