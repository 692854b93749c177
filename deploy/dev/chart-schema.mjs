// helm/values.schema.json, made of helm/values.yaml and of the config's own schema: what a key of the config takes is said once.
import { chartValues } from './chart-values.mjs';

const COUNT = { type: 'integer', minimum: 0 };
/** A number of pods, or a share of them. */
const PODS = { type: ['integer', 'string', 'null'], minimum: 0, pattern: '^[0-9]+%$' };
const REFERENCE = {
  type: 'object',
  required: ['secret'],
  properties: { secret: { type: 'string', minLength: 1 } },
};

/** Where the default does not say which values are good. */
const TYPES = {
  mode: { enum: ['deployment', 'sidecar'] },
  replicas: { type: ['integer', 'null'], minimum: 0 },
  'image.pullPolicy': { enum: ['Always', 'IfNotPresent', 'Never'] },
  'image.digest': { type: 'string', pattern: '^(sha256:[0-9a-f]{64})?$' },
  'service.type': { enum: ['ClusterIP', 'NodePort', 'LoadBalancer'] },
  'service.nodePort': { type: ['integer', 'null'] },
  'podDisruptionBudget.maxUnavailable': PODS,
  'podDisruptionBudget.minAvailable': PODS,
  'lifecycle.terminationGracePeriodSeconds': { type: ['integer', 'null'], minimum: 0 },
  'httpRoute.timeouts': { type: ['object', 'null'] },
  secretEnv: {
    type: 'object',
    propertyNames: { pattern: '^[A-Za-z_][A-Za-z0-9_]*$' },
    additionalProperties: {
      ...REFERENCE,
      required: ['secret', 'key'],
      properties: { ...REFERENCE.properties, key: { type: 'string', minLength: 1 } },
      additionalProperties: false,
    },
  },
  secretFiles: {
    type: 'object',
    // With "sidestream-secret-" before it, the name of a volume.
    propertyNames: { pattern: '^[a-z0-9]([a-z0-9-]{0,43}[a-z0-9])?$' },
    additionalProperties: {
      ...REFERENCE,
      properties: { ...REFERENCE.properties, items: { type: 'array' } },
      additionalProperties: false,
    },
  },
  'ingress.hosts': { type: 'array', items: { type: 'string' } },
  'httpRoute.hostnames': { type: 'array', items: { type: 'string' } },
  'httpRoute.parentRefs': { type: 'array', items: { type: 'object' } },
};

function typeOf(value) {
  if (Array.isArray(value)) return { type: 'array' };
  if (typeof value === 'number') return COUNT;
  return { type: typeof value };
}

/** Kubernetes takes texts there and no numbers. */
const TEXTS = /(^|\.)([a-z]+L|l)abels$|(^|\.)([a-z]+A|a)nnotations$|^nodeSelector$/;

function describe({ path, value, description, children }) {
  const text = description === '' ? {} : { description };
  if (path === 'config') return { ...text, $ref: '#/definitions/config' };
  if (children !== undefined) return { ...text, ...mapping(children) };
  if (TEXTS.test(path)) return { ...text, type: 'object', additionalProperties: { type: 'string' } };
  return { ...text, ...(TYPES[path] ?? typeOf(value)) };
}

const mapping = (values) => ({
  type: 'object',
  properties: Object.fromEntries(values.map((value) => [value.path.split('.').at(-1), describe(value)])),
  additionalProperties: false,
});

/**
 * The config's schema in the dialect that every Helm 3 reads: draft 7. Patterns that look ahead are left out, since Helm's
 * expressions (RE2) have none: such a value is refused by `check` and at the start, as ever.
 */
function forHelm(fragment) {
  if (Array.isArray(fragment)) return fragment.map(forHelm);
  if (typeof fragment !== 'object' || fragment === null) return fragment;
  const entries = Object.entries(fragment).filter(
    ([key, value]) => !(key === 'pattern' && typeof value === 'string' && value.includes('(?')),
  );
  return Object.fromEntries(
    entries.map(([key, value]) => {
      if (key === '$ref') return [key, value.replace('#/$defs/', '#/definitions/')];
      // `\x1f` is read by both dialects.
      if (key === 'pattern' && typeof value === 'string') return [key, value.replaceAll('\\u00', '\\x')];
      return [key, forHelm(value)];
    }),
  );
}

/** @param {object} config the config's JSON Schema, of src/config/json-schema.ts */
export function chartSchema(config) {
  // The templates say that there are no channels, in words; and `helm lint` takes the chart as it is.
  const { $schema: _, $defs, required: __, ...section } = forHelm(config);
  const values = mapping(chartValues());
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Values of the Sidestream chart',
    ...values,
    // Helm's own, for values that charts share.
    properties: { ...values.properties, global: { type: 'object' } },
    definitions: { config: section, ...$defs },
  };
}
