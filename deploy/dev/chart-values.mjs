// The chart's values: what helm/values.yaml says of each, as data. The schema and the table in the docs are made of it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMap, isScalar, parseDocument } from 'yaml';
import { ROOT } from './command.mjs';

/** Mappings whose defaults are not all that may stand in them: they are Kubernetes's own, or labels. */
const OPEN = new Set([
  'httpRoute.timeouts',
  'autoscaling.behavior',
  'strategy',
  'resources',
  'podSecurityContext',
  'securityContext',
  'probes.startup',
  'probes.liveness',
  'probes.readiness',
  'monitoring.dashboard.labels',
  // The subchart's.
  'nats',
]);

/**
 * @typedef {object} ChartValue
 * @property {string} path keys with dots between
 * @property {unknown} value the default
 * @property {string} description the comment above it; may be empty
 * @property {boolean} isOpen whether keys that have no default may stand in it
 * @property {readonly ChartValue[] | undefined} children of a mapping that is not open
 */

const textOf = (comment) =>
  (comment ?? '')
    .split('\n')
    .map((line) => line.trim())
    .join(' ')
    .trim();

function read(map, prefix) {
  return map.items.map((pair, index) => {
    const path = [...prefix, pair.key.value].join('.');
    // The first key's comment belongs, for the parser, to the mapping.
    const comment = pair.key.commentBefore ?? (index === 0 ? map.commentBefore : undefined);
    const isOpen = OPEN.has(path) || !isMap(pair.value) || pair.value.items.length === 0;
    return {
      path,
      value: isScalar(pair.value) ? pair.value.value : pair.value.toJSON(),
      // Above a blank line stands what is said of the whole file.
      description: textOf(comment?.split('\n\n').at(-1)),
      isOpen,
      children: isOpen ? undefined : read(pair.value, [...prefix, pair.key.value]),
    };
  });
}

/** @returns {readonly ChartValue[]} the values at the top, in the file's order */
export function chartValues(file = join(ROOT, 'helm/values.yaml')) {
  return read(parseDocument(readFileSync(file, 'utf8')).contents, []);
}

/** Every value that is set by itself, in the file's order. */
export function leaves(values) {
  return values.flatMap((value) => (value.children === undefined ? [value] : leaves(value.children)));
}
