// Figures to text: one table, and what of it has a target.

/** @typedef {import('./rows.mjs').Figures} Figures */

const kibibytes = (bytes) => (bytes / 1024).toFixed(1);
const thousands = (value) => Math.round(value).toLocaleString('en-US');

/** @type {readonly { title: string, cell: (figures: Figures) => string, left?: boolean }[]} */
const COLUMNS = [
  { title: 'row', cell: (f) => f.row, left: true },
  { title: 'server', cell: (f) => f.server, left: true },
  { title: 'CPU µs', cell: (f) => optional(f.cpuMicros, (v) => v.toFixed(2)) },
  { title: '× base', cell: (f) => optional(f.timesBase, (v) => v.toFixed(2)) },
  { title: 'per second', cell: (f) => optional(f.deliveriesPerSecond, thousands) },
  { title: 'per core', cell: (f) => optional(f.deliveriesPerCoreSecond, thousands) },
  { title: 'p50 ms', cell: (f) => optional(f.p50Ms, (v) => v.toFixed(1)) },
  { title: 'p99 ms', cell: (f) => optional(f.p99Ms, (v) => v.toFixed(1)) },
  { title: 'KiB/conn', cell: (f) => optional(f.bytesPerConnection, kibibytes) },
  { title: 'heap B', cell: (f) => optional(f.heapBytes, (v) => v.toFixed(1)) },
  { title: 'client', cell: (f) => optional(f.clientBusy, (v) => `${Math.round(v * 100)}%`) },
  { title: '', cell: (f) => [f.note, f.remark].filter(Boolean).join('; '), left: true },
];

const optional = (value, format) => (value === undefined || Number.isNaN(value) ? '' : format(value));

/** @param {readonly Figures[]} results in the order of the table */
export function table(results) {
  const lines = results.map((figures) => COLUMNS.map(({ cell }) => cell(figures)));
  const heads = COLUMNS.map(({ title }) => title);
  const widths = heads.map((head, i) => Math.max(head.length, ...lines.map((cells) => cells[i].length)));
  const format = (cells) =>
    cells
      .map((cell, i) => (COLUMNS[i].left ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join('  ')
      .trimEnd();
  const body = lines.flatMap((cells, i) => {
    const firstOfRow = results[i - 1]?.row !== results[i].row;
    return firstOfRow ? ['', format(cells)] : [format(['', ...cells.slice(1)])];
  });
  return [format(heads), ...body].join('\n');
}

/**
 * What Sidestream is held to with 10,000 connections (docs/performance.md). `of` gives the figure of any server among
 * those of its row, or nothing when the run did not measure it; `server`: whose it is, if not Sidestream's own line.
 * `isLast`: it is that of the row's last line. `atAnySize`: it holds for fewer connections too.
 * @type {readonly { what: string, row: string, server?: string, isLast?: boolean, atMost: number, atAnySize?: boolean, of: (figures: Figures, row: Record<string, Figures>) => number | undefined }[]}
 */
const TARGETS = [
  { row: 'fanout', what: 'CPU × uws', atMost: 1.15, of: (f) => f.timesBase },
  { row: 'fanout', what: 'CPU × nchan', atMost: 0.7, of: (f, { nchan }) => against(f, nchan) },
  { row: 'fanout', what: 'CPU × node', atMost: 0.6, of: (f, { node }) => against(f, node) },
  { row: 'burst', what: 'CPU × nchan', atMost: 0.1, of: (f, { nchan }) => against(f, nchan) },
  { row: 'burst', what: 'CPU µs', atMost: 1, of: (f) => f.cpuMicros },
  { row: 'connect', what: 'CPU µs', atMost: 60, of: (f) => f.cpuMicros },
  { row: 'idle', what: 'KiB/conn', atMost: 4, of: (f) => f.bytesPerConnection / 1024 },
  { row: 'idle-own', what: 'KiB/conn', atMost: 12, of: (f) => f.bytesPerConnection / 1024 },
  { row: 'spread', what: 'CPU × uws', atMost: 2.5, of: (f) => f.timesBase },
  { row: 'connect-token', what: 'CPU µs', atMost: 70, of: (f) => f.cpuMicros },
  { row: 'fanout-history', what: 'CPU × without', atMost: 1.1, of: (f) => f.timesBase },
  { row: 'fanout-gzip', what: 'CPU × without', atMost: 1.3, of: (f) => f.timesBase },
  { row: 'spread-history', what: 'CPU × without', atMost: 1.1, of: (f) => f.timesBase },
  ...['resume-one', 'resume-many'].flatMap((row) => [
    { row, server: 'from memory', what: 'reads', atMost: 0, of: (f) => f.reads },
    { row, server: 'from stream', what: 'reads/channel', atMost: 1, of: (f) => f.reads / f.channels },
  ]),
  { row: 'tail-most', what: 'CPU µs', atMost: 10, of: (f) => f.cpuMicros },
  { row: 'fanout-ndjson', what: 'CPU × SSE', atMost: 1.15, of: (f) => f.timesBase },
  { row: 'poll', what: 'CPU × stream', atMost: 6, of: (f) => f.timesBase },
  { row: 'shaped', server: 'throttle: 100ms', what: 'CPU × raw', atMost: 2, of: (f) => f.timesBase },
  { row: 'shaped', server: 'redact, map', what: 'CPU × raw', atMost: 3, of: (f) => f.timesBase },
  { row: 'grow-connections', isLast: true, what: 'CPU × uws', atMost: 1.25, of: (f) => f.timesBase },
  { row: 'grow-channels', isLast: true, what: 'CPU × one', atMost: 3, of: (f) => f.growth },
  { row: 'fanout-workers', what: 'CPU × one', atMost: 1.25, of: (f) => f.timesBase },
  { row: 'spread-workers', what: 'CPU × one', atMost: 1.25, of: (f) => f.timesBase },
  {
    row: 'slices',
    server: 'fan-out never stops',
    what: '+p99 ÷ fanout',
    atMost: 0.25,
    of: (f) => f.p99OfFanout,
  },
  {
    row: 'slices',
    server: 'fan-out never stops',
    what: '+new ÷ fanout',
    atMost: 0.25,
    of: (f) => f.visitOfFanout,
  },
  ...['close', 'drop', 'latest'].map((policy) => ({
    row: 'slow',
    server: `${policy}, slow ones`,
    what: 'p99 × without',
    atMost: 1.5,
    atAnySize: true,
    of: (f) => f.p99Times,
  })),
];

const TARGET_CONNECTIONS = 10_000;

const against = (figures, peer) => (peer ? figures.cpuMicros / peer.cpuMicros : undefined);

/**
 * A line for each target that the run has a figure for, with the bare loop's beside it: below that there is nothing
 * to be had.
 * @param {readonly Figures[]} results
 * @param {number} connections
 */
export function targets(results, connections) {
  const isFull = connections >= TARGET_CONNECTIONS;
  const held = TARGETS.filter(({ atAnySize = false }) => isFull || atAnySize);
  const lines = held.flatMap(({ row, server = 'sidestream', isLast, what, atMost, of }) => {
    const ofRow = results.filter((figures) => figures.row === row);
    const figures = Object.fromEntries(ofRow.map((f) => [f.server, f]));
    const value = (name) => figures[name] && of(figures[name], figures);
    const whose = isLast ? ofRow.at(-1)?.server : server;
    const own = value(whose);
    if (own === undefined || Number.isNaN(own)) return [];
    const name = whose === 'sidestream' ? row : `${row}, ${whose}`;
    const cells = [name.padEnd(35), what.padEnd(13), own.toFixed(2).padStart(6), `≤ ${atMost}`.padEnd(7)];
    return [
      `  ${cells.join(' ')} ${own <= atMost ? 'met   ' : 'MISSED'} ${optional(value('uws'), (v) => `(uws ${v.toFixed(2)})`)}`,
    ];
  });
  const others = `${lines.length === 0 ? 'The' : 'The other'} targets are for ${thousands(TARGET_CONNECTIONS)} connections.`;
  return [
    ...(lines.length === 0 ? [] : ['Targets for sidestream', ...lines]),
    ...(isFull ? [] : [others]),
  ].join('\n');
}
