// Where a server's CPU time goes while it is measured, for `--profile`: sampled within the windows only, so that start-up
// and ten thousand connects do not hide what is looked for.
import { Session } from 'node:inspector';

/** Between two samples, in microseconds. */
const SAMPLE_MICROS = 500;
/** Functions that are named. */
const TOP = 15;

/** @typedef {{ name: string, group: string, share: number }} Place `share` of the time that the process was busy */
/** @typedef {{ busyMicros: number, kernelShare: number, groups: Record<string, number>, top: readonly Place[] }} Profile */

/** Of native code V8 knows no more than the function that called into it; the kernel's part is told by `kernelShare`. */
const GROUPS = [
  { group: 'garbage collection', of: /^\(garbage collector\)/ },
  { group: 'native, unnamed', of: /^\(program\)/ },
  {
    group: 'uWebSockets.js: writing (native, the kernel)',
    // V8 has the name of another of its functions for `cork`, at whose end all goes out that was written.
    of: /^(collect|cork|write|end|tryEnd|pause|resume) native$/,
  },
  {
    group: 'copying, encoding (native)',
    of: /^(utf8|latin1|ascii|ucs2|base64|hex|copy|concat|fill|set|slice|subarray|encode|decode|TextEncoder|byteLength|inflate|deflate)\w* native$/i,
  },
  { group: 'other native', of: / native$/ },
  {
    group: 'parsing JSON, patterns, shaping',
    of: /\/dist\/(routing\/(json|pattern|payload|pointer|redaction)|hub\/(shaper|stage|throttler|rate-limiter|batcher))/,
  },
  { group: 'hub', of: /\/dist\/hub\// },
  { group: 'http', of: /\/dist\/http\// },
  { group: 'protocol: frames', of: /\/dist\/protocol\// },
  { group: 'sources, routing', of: /\/dist\/(sources|routing)\// },
  { group: 'other Sidestream', of: /\/dist\// },
  { group: 'NATS client', of: /@nats-io/ },
  { group: 'Buffer', of: /node:(internal\/)?buffer/ },
  { group: 'Node: sockets, streams, timers', of: /node:/ },
];

const groupOf = (place) => GROUPS.find(({ of }) => of.test(place))?.group ?? 'other';

/** @returns requests by which the process is asked to sample, stretch by stretch, and what came out */
export function sampler() {
  const session = new Session();
  const post = (method, parameters) =>
    new Promise((resolve, reject) => {
      session.post(method, parameters, (error, result) => (error ? reject(error) : resolve(result)));
    });
  /** Microseconds by place. @type {Map<string, number>} */
  const spent = new Map();
  const cpu = { user: 0, system: 0 };
  let before;
  /** Windows that are open: they may overlap. */
  let open = 0;
  return {
    async startProfile() {
      open += 1;
      if (open > 1) return;
      session.connect();
      await post('Profiler.enable');
      await post('Profiler.setSamplingInterval', { interval: SAMPLE_MICROS });
      await post('Profiler.start');
      before = process.cpuUsage();
    },
    async stopProfile() {
      open -= 1;
      if (open > 0) return;
      const { user, system } = process.cpuUsage(before);
      cpu.user += user;
      cpu.system += system;
      const { profile } = await post('Profiler.stop');
      session.disconnect();
      addTo(spent, profile);
    },
    profile: () => summary(spent, cpu),
  };
}

function addTo(spent, { nodes, samples, timeDeltas }) {
  const placeOf = new Map(nodes.map(({ id, callFrame }) => [id, place(callFrame)]));
  for (const [i, id] of samples.entries()) {
    const at = placeOf.get(id) ?? 'unknown';
    spent.set(at, (spent.get(at) ?? 0) + (timeDeltas[i] ?? 0));
  }
}

function place({ functionName, url, lineNumber }) {
  const name = functionName || '(anonymous)';
  if (url === '') return name.startsWith('(') && name !== '(anonymous)' ? name : `${name} native`;
  return `${name} ${url}:${lineNumber + 1}`;
}

/** Waiting, and starting and stopping the sampling itself. */
const NOT_ITS_OWN = new Set(['(idle)', 'dispatch native']);

/** @returns {Profile} */
function summary(spent, { user, system }) {
  const places = [...spent].filter(([at]) => !NOT_ITS_OWN.has(at)).sort(([, a], [, b]) => b - a);
  const total = places.reduce((sum, [, micros]) => sum + micros, 0);
  const groups = {};
  for (const [at, micros] of places) {
    const group = groupOf(at);
    groups[group] = (groups[group] ?? 0) + micros / total;
  }
  const top = places
    .slice(0, TOP)
    .map(([at, micros]) => ({ name: shorter(at), group: groupOf(at), share: micros / total }));
  return { busyMicros: user + system, kernelShare: system / (user + system), groups, top };
}

const shorter = (at) => at.replace(/ \S*\/(dist|node_modules)\//, ' ').replace(/ file:\S*\//, ' ');

/** @param {readonly { name: string, profile: Profile }[]} profiles */
export function profileText(profiles) {
  return profiles.map(({ name, profile }) => oneText(name, profile)).join('\n\n');
}

function oneText(name, { busyMicros, kernelShare, groups, top }) {
  const percent = (share) => `${(share * 100).toFixed(1)}%`.padStart(7);
  const sorted = Object.entries(groups).sort(([, a], [, b]) => b - a);
  return [
    `Profile of ${name}: ${(busyMicros / 1e6).toFixed(2)} s of CPU in the windows, ${percent(kernelShare).trim()} of it in the kernel.`,
    'Shares of the busy time of its main thread, by who was at it (the kernel counts for its caller):',
    ...sorted.map(([group, share]) => `${percent(share)}  ${group}`),
    'The functions at the top:',
    ...top.map((each) => `${percent(each.share)}  ${each.name.padEnd(60)} ${each.group}`),
  ].join('\n');
}
