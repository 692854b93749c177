import { parseArgs } from 'node:util';

/** @typedef {{ seed: number, minutes: number, clients: number, workers: number }} Options */

/** @type {Options} */
const DEFAULTS = { seed: 1, minutes: 10, clients: 150, workers: 1 };

export const HELP = `\
npm run soak -- [options]

One bridge as it ships, and clients that come and go all the time: they leave in good order, by reset, half-closed or before they
are answered, move to other channels with their cursors, stop reading, read too slowly, bring tokens good and bad; they take SSE or
NDJSON, compressed or not, or poll. Every few seconds the
bridge's memory after garbage collection, its descriptors and its gauges are read. When all have left nothing may be left of them.
Exits 1 where memory grew, or a descriptor, a timer or a count stayed behind. Reads /proc, so it wants Linux.

  --seed N      repeats the clients' choices; the pace is the machine's (default ${DEFAULTS.seed})
  --minutes N   how long clients come and go, 0.1 or more (default ${DEFAULTS.minutes})
  --clients N   at a time (default ${DEFAULTS.clients})
  --workers N   processes of the bridge that share the port (default ${DEFAULTS.workers})
  --help
`;

/**
 * @param {readonly string[]} argv
 * @returns {Options | 'help'}
 * @throws {TypeError} on an option that is unknown or makes no sense
 */
export function parseOptions(argv) {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seed: { type: 'string' },
      minutes: { type: 'string' },
      clients: { type: 'string' },
      workers: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return 'help';
  return {
    seed: number('seed', values.seed, { min: 1, isWhole: true }),
    minutes: number('minutes', values.minutes, { min: 0.1, isWhole: false }),
    clients: number('clients', values.clients, { min: 1, isWhole: true }),
    workers: number('workers', values.workers, { min: 1, isWhole: true }),
  };
}

function number(name, given, { min, isWhole }) {
  if (given === undefined) return DEFAULTS[name];
  const value = Number(given);
  if (!Number.isFinite(value) || value < min || (isWhole && !Number.isSafeInteger(value)))
    throw new TypeError(
      `--${name}: a ${isWhole ? 'whole ' : ''}number from ${min} up is wanted, not ${given}`,
    );
  return value;
}
