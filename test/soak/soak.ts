import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { signed } from '../integration/protected.ts';
import { Random } from '../stress/random.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { type Publisher, startPublisher } from '../support/publisher.ts';
import { startJetStream } from '../support/stream-source.ts';
import { type Sample, type SoakBridge, startSoakBridge } from './bridge.ts';
import { remains } from './judge.ts';
import { addStream, FEEDS } from './scene.ts';
import { keepVisiting, type Manner } from './visitor.ts';

export interface SoakOptions {
  readonly seed: number;
  readonly minutes: number;
  /** At a time. */
  readonly clients: number;
  /** Processes that share the port. */
  readonly workers: number;
}

export interface SoakResult {
  /** Nobody there, after a first crowd that warmed everything up. */
  readonly before: Sample;
  readonly during: readonly Sample[];
  /** Nobody there any more. */
  readonly after: Sample;
  readonly visits: ReadonlyMap<Manner, number>;
}

const TOKENS = 32;
const TOKEN_HOURS = 12;
const PUBLISH_MS = 25;
/** The first crowd: code is compiled, pools and caches are filled. */
const WARM_UP = { share: 0.3, minS: 8, maxS: 30 };
const SAMPLE = { share: 0.02, minS: 2, maxS: 5 };

/** Lets clients come and go, and reads the bridge meanwhile, before and after; `tell` is told each reading. */
export async function runSoak(
  { seed, minutes, clients, workers }: SoakOptions,
  tell: (sample: Sample) => void = () => {},
): Promise<SoakResult> {
  const nats = await startNats({ jetStream: true });
  await addStream((await startJetStream(nats)).manager);
  const bridge = await startSoakBridge(nats, workers);
  const publisher = await startPublisher(nats);

  const { descriptors } = await bridge.sample(0);
  const random = new Random(`${seed}`);
  const crowd = (name: string, durationS: number, sampling?: (sample: Sample) => void) =>
    gather({ bridge, publisher, random: random.fork(name), clients, durationS, sampling });
  const seconds = minutes * 60;
  await crowd('first', within(WARM_UP, seconds));
  const before = await quiet(bridge, 0, descriptors);
  tell(before);

  const during: Sample[] = [];
  const visits = await crowd('soak', seconds, (sample) => {
    during.push(sample);
    tell(sample);
  });
  const after = await quiet(bridge, seconds, before.descriptors);
  tell(after);
  return { before, during, after, visits };
}

const within = ({ share, minS, maxS }: typeof WARM_UP, seconds: number) =>
  Math.min(maxS, Math.max(minS, share * seconds));

interface Crowd {
  readonly bridge: SoakBridge;
  readonly publisher: Publisher;
  readonly random: Random;
  readonly clients: number;
  readonly durationS: number;
  readonly sampling: ((sample: Sample) => void) | undefined;
}

/** Clients for so long, and something published all the while; resolves when all have gone home. */
async function gather({
  bridge,
  publisher,
  random,
  clients,
  durationS,
  sampling,
}: Crowd): Promise<Map<Manner, number>> {
  const home = new AbortController();
  setMaxListeners(clients, home.signal);
  const stopPublishing = keepPublishing(publisher);
  const counts = new Map<Manner, number>();
  const tokens = await Promise.all(
    Array.from({ length: TOKENS }, (_, n) => signed({ jti: `${n}`, exp: inHours(TOKEN_HOURS) })),
  );
  const world = { port: bridge.httpPort, tokens, signal: home.signal, counts };
  const visitors = Array.from({ length: clients }, (_, n) =>
    keepVisiting({ ...world, random: random.fork(`visitor ${n}`) }),
  );
  const startMs = performance.now();
  const elapsedS = () => (performance.now() - startMs) / 1000;
  try {
    const everyS = within(SAMPLE, durationS);
    for (let nextS = everyS; nextS < durationS; nextS += everyS) {
      await sleep(Math.max(0, nextS - elapsedS()) * 1000);
      if (sampling !== undefined) sampling(await bridge.sample(elapsedS()));
    }
    await sleep(Math.max(0, durationS - elapsedS()) * 1000);
  } finally {
    home.abort();
    stopPublishing();
    await Promise.all(visitors);
  }
  return counts;
}

const inHours = (hours: number) => Math.floor(Date.now() / 1000) + hours * 3600;

/**
 * Waits until the bridge has let go of everybody, and of the sockets of those whom it no longer counts, and reads it; what it does
 * not let go of stands in the sample.
 */
async function quiet(bridge: SoakBridge, atS: number, descriptors: number): Promise<Sample> {
  const isQuiet = async () => {
    const sample = await bridge.sample(atS);
    return remains(sample.metrics).length === 0 && sample.descriptors <= descriptors && sample;
  };
  // The judge says what remains.
  return poll('everybody to be forgotten', isQuiet).catch(() => bridge.sample(atS));
}

/** Text that compression makes little smaller: else nobody who takes it compressed would ever be behind. */
const noise = (bytes: number) => Buffer.from(randomBytes(bytes).toString('base64').slice(0, bytes));

/** Publishes what the scene wants until it is told to stop. */
function keepPublishing(publisher: Publisher): () => void {
  const feeds = FEEDS.map((feed) => ({ ...feed, payload: noise(feed.bytes), owed: 0 }));
  let lastMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    for (const feed of feeds) {
      feed.owed += (feed.rate * (nowMs - lastMs)) / 1000;
      for (; feed.owed >= 1; feed.owed -= 1) publisher.send(feed.subject, feed.payload);
    }
    lastMs = nowMs;
  }, PUBLISH_MS);
  return () => clearInterval(timer);
}
