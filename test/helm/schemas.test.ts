import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/folder.ts';
import { noHelm, render, template, VERSIONS, valueSet, valueSets } from './chart.ts';
import { CRD_FOLDERS, KubernetesSchemas, noSchemas } from './kubernetes-schemas.ts';

const { KUBECTL_VALIDATE_BIN } = process.env;
/** Somebody's own kinds, whose definitions are not to be had. */
const UNKNOWN = ['GCPBackendPolicy', 'HealthCheckPolicy'];

describe.skipIf(noHelm !== undefined || noSchemas !== undefined).each(VERSIONS)(
  'what the chart renders for Kubernetes %s',
  (version) => {
    it('is what the schemas of Kubernetes, the Gateway API and the Prometheus operator want', async () => {
      const schemas = new KubernetesSchemas(version);
      for (const [name, file] of valueSets)
        for (const object of await render([file], { version })) {
          const problems = schemas.problems(object);
          const what = `${name}: ${object.kind} ${object.metadata.name}`;
          if (UNKNOWN.includes(object.kind)) expect(problems, what).toBeUndefined();
          else expect(problems, what).toEqual([]);
        }
    }, 60_000);

    it('would not pass with a field that is not known, or of another type', async () => {
      const schemas = new KubernetesSchemas(version);
      const [object] = (await render([valueSet('gateway')], { version })).filter(
        ({ kind }) => kind === 'Deployment',
      );
      if (object === undefined) throw new Error('no Deployment');
      const problems = (spec: object) =>
        schemas.problems({ ...object, spec: { ...(object.spec ?? {}), ...spec } });
      expect(problems({ replica: 2 })?.join()).toContain('replica');
      expect(problems({ replicas: 'two' })?.join()).toContain('/spec/replicas must be integer');
    });
  },
);

// Its build takes minutes: `npm run test:chart` has it, and whoever names one.
describe
  .skipIf(noHelm !== undefined || noSchemas !== undefined || KUBECTL_VALIDATE_BIN === undefined)
  .each(VERSIONS)('what the chart renders for Kubernetes %s', (version) => {
  it('passes kubectl-validate', async () => {
    const folder = temporaryFolder();
    for (const [name, file] of valueSets) {
      const { stdout } = await template([file], { version });
      const known = stdout
        .split('\n---\n')
        .filter((text) => !UNKNOWN.some((kind) => text.includes(`kind: ${kind}`)));
      writeFileSync(join(folder, `${name}.yaml`), known.join('\n---\n'));
    }
    const crds = CRD_FOLDERS.flatMap((crd) => ['--local-crds', crd]);
    const run = promisify(execFile)(KUBECTL_VALIDATE_BIN ?? '', [folder, '--version', version, ...crds], {
      maxBuffer: 64 * 1024 * 1024,
    });
    const { stdout, stderr } = await run.catch((error: { stdout: string; stderr: string }) => error);
    const wrong = `${stdout}\n${stderr}`.split('\n').filter((line) => /ERROR|error|Invalid/.test(line));
    expect(wrong).toEqual([]);
    expect(`${stdout}${stderr}`.match(/OK/g)).toHaveLength(valueSets.size);
  }, 120_000);
});
