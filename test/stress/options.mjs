import { parseArgs } from 'node:util';

/** @typedef {{ seed: number, seconds: number, clients: number }} Options */

/** @type {Options} */
const DEFAULTS = { seed: 1, seconds: 60, clients: 50 };

export const HELP = `\
npm run stress -- [options]

Two bridges, publishers, and clients that come, leave at any byte, lag, move between the bridges and come back with old
cursors, while nats-server and the bridges are killed, restarted, held up and cut off. Everything that a client is sent is compared
with what was published: nothing missing unsaid, nothing twice, order kept, and in the end everything is there.

  --seed N      repeats every choice; the pace is the machine's (default ${DEFAULTS.seed})
  --seconds N   how long there is trouble (default ${DEFAULTS.seconds})
  --clients N   (default ${DEFAULTS.clients})
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
      seconds: { type: 'string' },
      clients: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return 'help';
  const [seed, seconds, clients] = ['seed', 'seconds', 'clients'].map((name) => count(name, values[name]));
  return { seed, seconds, clients };
}

function count(name, given) {
  if (given === undefined) return DEFAULTS[name];
  const value = Number(given);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new TypeError(`--${name}: a whole number from 1 up is wanted, not ${given}`);
  return value;
}
