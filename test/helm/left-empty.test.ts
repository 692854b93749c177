import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { chartFile, noHelm, render, TAKEN, template, valuesFile } from './chart.ts';

const defaults: Readonly<Record<string, unknown>> = parse(chartFile('values.yaml'));

/** Sections of which Helm's `null` may leave nothing: they are Kubernetes's own and passed on, and none of it is none. */
const NONE_OF_IT = ['strategy', 'resources', 'podSecurityContext', 'securityContext'];
/** No sections, and no good without a value. */
const NEEDED = ['mode', 'rollOnConfigChange'];

const hasKeys = (value: unknown) =>
  typeof value === 'object' && !Array.isArray(value) && Object.keys(value ?? {}).length > 0;
const refused = Object.keys(defaults).filter(
  (key) => NEEDED.includes(key) || (hasKeys(defaults[key]) && !NONE_OF_IT.includes(key)),
);

// `ingress:` with nothing, or only comments, below it. Whatever stands in values.yaml is looked at, so that no new key is forgotten.
describe.skipIf(noHelm !== undefined)('a key of the values that was left empty', () => {
  it.each(refused)('is refused by its name, with what to write: %s', async (key) => {
    const { code, stderr } = await template([valuesFile({ ...TAKEN, [key]: null })]);
    expect(code).not.toBe(0);
    expect(stderr).toContain(`\n${key} is empty`);
    expect(stderr).toContain(NEEDED.includes(key) ? 'or leave it out' : `or ${key}: {}`);
  });

  it('keeps its defaults as an empty mapping, as it is told', async () => {
    const sections = refused.filter((key) => !NEEDED.includes(key)).map((key) => [key, {}]);
    const written = [Object.fromEntries(sections), {}].map((more) =>
      render([valuesFile({ ...TAKEN, ...more })]),
    );
    const [empty, out] = await Promise.all(written);
    expect(empty).toEqual(out);
  });

  it('is taken for none where none can be', async () => {
    const others = Object.keys(defaults).filter((key) => !refused.includes(key) && key !== 'config');
    const none = Object.fromEntries(others.map((key) => [key, null]));
    // Everything that asks them is there.
    const isOn = { enabled: true };
    const asked = { ingress: isOn, networkPolicy: isOn, monitoring: { podMonitor: isOn, dashboard: isOn } };
    const objects = await render([valuesFile({ ...none, ...asked, ...TAKEN })]);
    expect(objects.map(({ kind }) => kind)).toContain('Deployment');
    const autoscaling = { ...isOn, cpu: 0 };
    await render([valuesFile({ ...none, ...asked, ...TAKEN, autoscaling })]);
  });

  it('is told as the route that is missing, where it is the config', async () => {
    expect((await template([valuesFile({ config: null })])).stderr).toContain('config.channels is empty');
  });

  it('does not switch anything on below a section', async () => {
    const off = { enabled: null };
    const keys = [
      'ingress',
      'httpRoute',
      'autoscaling',
      'networkPolicy',
      'podDisruptionBudget',
      'opsService',
    ];
    const objects = await render([
      valuesFile({ ...TAKEN, ...Object.fromEntries(keys.map((key) => [key, off])) }),
    ]);
    const kinds = new Set(objects.map(({ kind }) => kind));
    expect([...kinds].sort()).toEqual(['ConfigMap', 'Deployment', 'Service', 'ServiceAccount']);
  });
});
