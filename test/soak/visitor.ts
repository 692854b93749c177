import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../stress/random.ts';
import { BULK, PRIVATE, PUBLIC, SPARED } from './scene.ts';

/** How visits end, and how often of a hundred times. */
const MANNERS = {
  /** Reads and closes. */
  reads: 36,
  /** Its kernel answers with a reset. */
  resets: 10,
  /** Says that it will send no more, goes on reading for a while. */
  'half-closes': 8,
  /** Comes back to other channels, with its cursor. */
  moves: 14,
  /** Stops reading. */
  stalls: 6,
  /** Reads, but too slowly for what is sent, and may be spared some of it. */
  lags: 3,
  /** Asks again and again, and leaves while it waits for an answer. */
  polls: 7,
  /** Leaves before it is answered, or in the middle of its request. */
  'leaves early': 6,
  /** Brings a token that is good, and one that is not. */
  'shows a token': 6,
  'shows a bad token': 4,
} as const;
export type Manner = keyof typeof MANNERS;
const DECK = Object.entries(MANNERS).flatMap(([manner, times]) =>
  Array<Manner>(times).fill(manner as Manner),
);

/** Of the bulk channels the one that is taken compressed, by all. */
const COMPRESSED = 'bulk-latest';
const FORMS = ['text/event-stream', 'text/event-stream', 'application/x-ndjson'];
const CODINGS = ['identity', 'gzip'];

const SHORT_MS = 600;
const LONG_MS = 4000;
/** Longer than `limits.stalled`, so that the server ends most of them. */
const STALL_MS = 9000;
/** What is read at once is 64 KiB at most: a megabyte a second, of two and a half. */
const LAG_MS = 60;
/** How long a poll waits; most are answered before. */
const POLL_WAIT = '500ms';
/** Of what was received last, for the cursor in it. */
const KEPT_CHARACTERS = 2000;

export interface World {
  readonly port: number;
  readonly random: Random;
  /** Tokens of user 42; few, for what the bridge remembers of tokens is bounded, and not by how long it runs. */
  readonly tokens: readonly string[];
  readonly signal: AbortSignal;
  readonly counts: Map<Manner, number>;
}

/** One place in the crowd: as soon as one visitor has left the next one comes, until the world ends. */
export async function keepVisiting(world: World): Promise<void> {
  while (!world.signal.aborted) {
    const manner = world.random.pick(DECK);
    world.counts.set(manner, (world.counts.get(manner) ?? 0) + 1);
    await VISITS[manner](world);
  }
}

const VISITS: Readonly<Record<Manner, (world: World) => Promise<void>>> = {
  async reads(world) {
    const socket = open(world, publicTarget(world));
    await stay(world, lengthOfVisit(world));
    socket.destroy();
  },
  async resets(world) {
    const socket = open(world, publicTarget(world));
    await stay(world, lengthOfVisit(world));
    socket.resetAndDestroy();
  },
  async 'half-closes'(world) {
    const socket = open(world, publicTarget(world));
    await stay(world, lengthOfVisit(world));
    socket.end();
    await stay(world, lengthOfVisit(world));
    socket.destroy();
  },
  async moves(world) {
    let text = '';
    const first = open(world, publicTarget(world), { Accept: pickForm(world) }, (bytes) => {
      text = (text + bytes.toString('latin1')).slice(-KEPT_CHARACTERS);
    });
    await stay(world, lengthOfVisit(world));
    first.destroy();
    const cursor = [...text.matchAll(/^(?:id: |\{"id":")([\w.-]+)/gm)].at(-1)?.[1];
    const resume = cursor === undefined ? {} : { 'Last-Event-ID': cursor };
    const next = open(world, publicTarget(world), { ...anyWay(world), ...resume });
    await stay(world, lengthOfVisit(world));
    next.destroy();
  },
  async stalls(world) {
    const socket = openBulk(world, world.random.pick([BULK, ...SPARED]));
    socket.pause();
    await stay(world, STALL_MS);
    socket.destroy();
  },
  async lags(world) {
    const socket = openBulk(world, world.random.pick(SPARED), () => socket.pause());
    const timer = setInterval(() => socket.resume(), LAG_MS);
    await stay(world, STALL_MS);
    clearInterval(timer);
    socket.destroy();
  },
  async polls(world) {
    const visit = new AbortController();
    const polling = keepPolling(world, visit.signal);
    await stay(world, lengthOfVisit(world));
    visit.abort();
    await polling;
  },
  async 'leaves early'(world) {
    const whole = head(publicTarget(world), {});
    const socket = connectTo(world);
    socket.write(whole.slice(0, world.random.below(whole.length + 1)));
    await stay(world, world.random.between(0, 20));
    if (world.random.chance(0.5)) socket.resetAndDestroy();
    else socket.destroy();
  },
  async 'shows a token'(world) {
    const socket = open(world, `/events/${PRIVATE}`, { Authorization: `Bearer ${pickToken(world)}` });
    await stay(world, lengthOfVisit(world));
    socket.destroy();
  },
  async 'shows a bad token'(world) {
    const socket = open(world, `/events/${PRIVATE}`, { Authorization: `Bearer ${pickToken(world)}x` });
    await stay(world, SHORT_MS / 4);
    socket.destroy();
  },
};

/** Asks with the cursor of each answer for the next. */
async function keepPolling(world: World, signal: AbortSignal): Promise<void> {
  const url = `http://127.0.0.1:${world.port}/events?channels=${world.random.pick(PUBLIC)}&wait=${POLL_WAIT}`;
  // A connection kept alive would be a descriptor that goes by itself, later.
  const headers = { ...anyWay(world), Accept: 'application/json', Connection: 'close' };
  for (let cursor = ''; !signal.aborted; ) {
    const resume = cursor === '' ? '' : `&lastEventId=${cursor}`;
    try {
      const response = await fetch(url + resume, { headers, signal });
      ({ cursor = '' } = (await response.json()) as { cursor?: string });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}

const pickForm = ({ random }: World) => random.pick(FORMS);

/** How a visitor takes its stream. */
function anyWay(world: World): Record<string, string> {
  return { Accept: pickForm(world), 'Accept-Encoding': world.random.pick(CODINGS) };
}

/** Compressing so much in every form for every route would be all that the bridge did. */
function openBulk(world: World, channel: string, take?: (bytes: Buffer) => void): Socket {
  const Accept = pickForm(world);
  const way = channel === COMPRESSED ? { 'Accept-Encoding': 'gzip' } : { Accept };
  return open(world, `/events?channels=${channel},${world.random.pick(PUBLIC)}`, way, take);
}

const pickToken = ({ random, tokens }: World) => random.pick(tokens);

/** Most are short: what leaks leaks per visit. */
const lengthOfVisit = ({ random }: World) => random.between(0, random.chance(0.7) ? SHORT_MS : LONG_MS);

async function stay({ signal }: World, ms: number): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {
    // AbortError: all go home.
  });
}

function publicTarget({ random }: World): string {
  const channels = random.shuffled(PUBLIC).slice(0, 1 + random.below(3));
  return `/events?channels=${channels.join(',')}`;
}

function head(target: string, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries({ Host: 'localhost', Accept: 'text/event-stream', ...headers });
  return `GET ${target} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

function connectTo({ port }: World): Socket {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  socket.on('error', () => {
    // ECONNRESET: the server cut it off; EPIPE: it did so while the request was written.
  });
  // `allowHalfOpen` is for our half; where the server ends its own, as it does after every response, so do we.
  socket.on('end', () => socket.end());
  return socket;
}

function open(
  world: World,
  target: string,
  headers: Readonly<Record<string, string>> = anyWay(world),
  take: (bytes: Buffer) => void = () => {},
): Socket {
  const socket = connectTo(world);
  socket.on('data', take);
  socket.write(head(target, headers));
  return socket;
}
