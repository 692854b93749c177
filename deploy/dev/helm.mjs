// What the chart is tested with: Helm, kubectl-validate, and the schemas of Kubernetes.
import { join } from 'node:path';
import { ROOT, runProgram } from './command.mjs';
import { mayInstall } from './debian.mjs';
import { ensureGoTool, findGo } from './go-tool.mjs';
import { withLock } from './lock.mjs';

const HELM_CHARTUTIL = 'helm.sh/helm/v3/pkg/chartutil';
const HELM = {
  name: 'helm',
  // As in helm/go.mod.
  version: 'v3.19.0',
  package: 'helm.sh/helm/v3/cmd/helm',
  variable: 'HELM_BIN',
  // Not optimised: it runs for milliseconds, and is built in two thirds of the time. Which Kubernetes it templates for
  // when nobody says so is set by its makefile, and else 1.20.
  flags: [
    '-gcflags=all=-N -l',
    `-ldflags=-s -w -X ${HELM_CHARTUTIL}.k8sVersionMajor=1 -X ${HELM_CHARTUTIL}.k8sVersionMinor=34`,
  ],
};
const KUBECTL_VALIDATE = {
  name: 'kubectl-validate',
  // As in kubectl-validate/go.mod.
  version: 'v0.0.4',
  package: 'sigs.k8s.io/kubectl-validate',
  variable: 'KUBECTL_VALIDATE_BIN',
  flags: ['-ldflags=-s -w'],
};

/** Modules that hold schemas, by the variable in which tests are told their folders; go.sum in kubernetes/ says of what content. */
const SCHEMAS = {
  // OpenAPI of several versions of Kubernetes.
  KUBERNETES_SCHEMAS: 'sigs.k8s.io/kubectl-validate@v0.0.4',
  GATEWAY_API_SCHEMAS: 'sigs.k8s.io/gateway-api@v1.3.0',
  PROMETHEUS_OPERATOR_SCHEMAS: 'github.com/prometheus-operator/prometheus-operator@v0.85.0',
};

/**
 * Downloads what is not there; nothing is built.
 * @returns {Promise<{ folders: Record<string, string> } | { why: string }>}
 */
async function ensureSchemas(env) {
  const go = findGo();
  if (go === undefined) return { why: 'there is no Go to download them with' };
  // What was downloaded before is there without a network.
  const offline = mayInstall(env) ? {} : { GOPROXY: 'off' };
  const args = ['mod', 'download', '-json', ...Object.values(SCHEMAS)];
  const options = { cwd: join(ROOT, 'deploy/dev/kubernetes'), env: { ...env, ...offline, GOFLAGS: '' } };
  const { code, output } = await withLock('install', () => runProgram(go, args, options));
  // Of a module that it has not, it says why in the module's own entry.
  const [, fault = output.split('\n').at(-1)] = /"Error": "(.*)"/.exec(output) ?? [];
  if (code !== 0) return { why: `go mod download failed: ${fault}` };
  // Between them it may say what it downloads.
  const entries = output
    .replaceAll(/^go: .*\n?/gm, '')
    .trim()
    .replaceAll('}\n{', '},{');
  const modules = JSON.parse(`[${entries}]`);
  const folderOf = (module) => modules.find(({ Path, Version }) => `${Path}@${Version}` === module)?.Dir;
  return {
    folders: Object.fromEntries(
      Object.entries(SCHEMAS).map(([variable, module]) => [variable, folderOf(module)]),
    ),
  };
}

/**
 * What the tests of the chart read from the environment.
 * @param {{ validator: boolean }} which `validator`: kubectl-validate too, whose build takes minutes; else only if it is there
 * @returns {Promise<{ variables: Record<string, string>, missing: readonly string[] }>} `missing`: what cannot be tested, and why
 */
export async function ensureHelm({ validator }, env = process.env) {
  const helm = await ensureGoTool(HELM, env);
  if (helm.why !== undefined)
    return {
      variables: { SIDESTREAM_NO_HELM: helm.why },
      missing: [`The chart will not be tested: ${helm.why}`],
    };
  const schemas = await ensureSchemas(env);
  const validate = await ensureGoTool(
    KUBECTL_VALIDATE,
    validator ? env : { ...env, SIDESTREAM_NO_INSTALL: 'it is built for the release' },
  );
  return {
    variables: {
      HELM_BIN: helm.file,
      ...(validate.file && { KUBECTL_VALIDATE_BIN: validate.file }),
      ...(schemas.why ? { SIDESTREAM_NO_SCHEMAS: schemas.why } : schemas.folders),
    },
    missing: [
      ...(schemas.why ? [`What the chart renders will not be held against schemas: ${schemas.why}`] : []),
      ...(validator && validate.why ? [`kubectl-validate will not run: ${validate.why}`] : []),
    ],
  };
}
