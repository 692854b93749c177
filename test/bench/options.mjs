import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ROWS } from './rows.mjs';
import { SERVERS } from './servers.mjs';

/**
 * @typedef {object} Options
 * @property {readonly string[]} rows
 * @property {readonly string[]} peers servers under test
 * @property {number} connections per server
 * @property {number} rate events (or bursts) a second to the channel that all share
 * @property {number} seconds that one window lasts
 * @property {number} warmUpSeconds before the first window of a row
 * @property {number} rounds windows per server and row
 * @property {number} connectsPerSecond
 * @property {readonly string[]} nodeArgs further arguments of Sidestream's node
 * @property {boolean} json
 * @property {string | undefined} main Sidestream's entry, if not the one that was built here
 * @property {boolean} isProfiled whether it is told where Sidestream's CPU time goes
 * @property {number} mostConnections that one process here may have
 */

const LONG = Object.keys(ROWS).filter((row) => ROWS[row].isLong);

export const HELP = `\
npm run bench -- [options]

Measures Sidestream beside a bare uWebSockets.js loop, node:http and Nchan, on loopback, and prints one table.
Starts and stops everything itself. How to read it: docs/performance.md.

  --only ROW[,ROW]     ${Object.keys(ROWS).join(', ')}
  --all                the long rows too: ${LONG.join(', ')}
  --profile ROW        that row alone, and where Sidestream's CPU time goes in it
  --peers NAME[,NAME]  ${Object.keys(SERVERS).join(', ')}
  --connections N      per server (default 10000; --quick: 2000)
  --rate N             events a second to a shared channel (default 5)
  --seconds N          measured per row and server (default 8; --quick: 1)
  --rounds N           parts that this is measured in, the servers taking turns (default 3; --quick: 2)
  --quick              a rough look in three minutes
  --json               the figures as JSON
  --main FILE          another build's dist/main.js, to compare with
  --node-args ARGS     for Sidestream's node, such as --node-args=--cpu-prof
  --help

Rows:
${Object.entries(ROWS)
  .map(([name, { what }]) => `  ${name.padEnd(21)}${what}`)
  .join('\n')}
`;

/**
 * @param {readonly string[]} argv
 * @param {number} openFiles that one process may have
 * @returns {Options | 'help'}
 * @throws {TypeError} on an option that is unknown or makes no sense
 */
export function parseOptions(argv, openFiles) {
  const { values } = parseArgs({ args: [...argv], options: OPTIONS });
  if (values.help) return 'help';
  const quick = values.quick === true;
  const rounds = count('--rounds', values.rounds, quick ? 2 : 3);
  const mostConnections = openFiles - SPARE_FILES;
  return {
    rows: rowsOf(values),
    peers: names('--peers', values.peers, SERVERS),
    connections: Math.min(count('--connections', values.connections, quick ? 2000 : 10_000), mostConnections),
    mostConnections,
    rate: count('--rate', values.rate, 5),
    seconds: count('--seconds', values.seconds, quick ? 1 : 8) / rounds,
    warmUpSeconds: quick ? 0.3 : 1,
    rounds,
    connectsPerSecond: 3000,
    nodeArgs: values['node-args']?.split(' ') ?? [],
    json: values.json === true,
    main: values.main && resolve(values.main),
    isProfiled: values.profile !== undefined,
  };
}

function rowsOf({ only, profile, all }) {
  if (profile !== undefined) {
    const rows = names('--profile', profile, ROWS);
    if (rows.some((row) => ROWS[row].channels.startsWith('workers')))
      throw new TypeError('--profile: it sees one process, and no workers');
    return rows;
  }
  const rows = names('--only', only, ROWS);
  return only === undefined && all !== true ? rows.filter((row) => !LONG.includes(row)) : rows;
}

/** For what a process has open besides its connections: the subscribers of a live channel among them. */
const SPARE_FILES = 500;

const OPTIONS = {
  only: { type: 'string' },
  peers: { type: 'string' },
  connections: { type: 'string' },
  rate: { type: 'string' },
  seconds: { type: 'string' },
  rounds: { type: 'string' },
  'node-args': { type: 'string' },
  all: { type: 'boolean' },
  profile: { type: 'string' },
  main: { type: 'string' },
  quick: { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
};

function names(option, given, known) {
  const chosen = given?.split(',') ?? Object.keys(known);
  for (const name of chosen) {
    if (!Object.hasOwn(known, name))
      throw new TypeError(`${option}: ${name} is none of ${Object.keys(known).join(', ')}`);
  }
  return chosen;
}

function count(option, given, otherwise) {
  if (given === undefined) return otherwise;
  const value = Number(given);
  if (!(value > 0)) throw new TypeError(`${option}: a number above 0 is wanted, not ${given}`);
  return value;
}
