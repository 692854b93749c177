import { setTimeout as sleep } from 'node:timers/promises';
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { Book } from './book.ts';
import { Bridges } from './bridges.ts';
import { type ClientOptions, StressClient } from './client.ts';
import { Findings } from './findings.ts';
import { Link } from './link.ts';
import { ChannelPublisher } from './publisher.ts';
import { Random } from './random.ts';
import { compareWithStreams } from './stored.ts';
import { addStreams, BRIDGE_CONFIG, CHANNELS, channelOf, NOISE, STREAMS } from './topology.ts';
import { makeTrouble } from './trouble.ts';
import { Visit } from './visit.ts';

export interface StressOptions {
  /** Repeats every choice; not the machine's pace. */
  readonly seed: number;
  /** How long there is trouble. */
  readonly seconds: number;
  readonly clients: number;
}

type SharedByClients = Pick<ClientOptions, 'books' | 'bridges' | 'findings' | 'epochs' | 'calm' | 'over'>;

const BRIDGES = 2;
/** Channels of one client. */
const MOST_CHANNELS = 6;
/** How long clients may take to have everything once nothing goes wrong any more. */
const CALM_MS = 20_000;
/** Messages a second that no channel has. */
const NOISE_RATE = 20;

/**
 * Bridges, publishers, clients and trouble; then calm, in which everything owed must arrive. What was received is compared
 * with what was published as it comes, and what was published with the streams in the end. Everything is over when the
 * test is.
 */
export async function runStress(options: StressOptions, findings = new Findings()): Promise<Findings> {
  const random = new Random(`${options.seed}`);
  const site = await buildSite();
  const { nats, connection, jsm, bridges } = site;
  const [calm, over] = [new AbortController(), new AbortController()];
  const books = CHANNELS.map((spec) => new Book(spec));
  const publishers = books.map((book) => {
    const its = random.fork(`publisher ${book.spec.name}`);
    return new ChannelPublisher({ connection, book, random: its, findings, stop: calm.signal });
  });
  const signals = { calm: calm.signal, over: over.signal };
  const clients = makeClients(options, random, { books, findings, ...site, ...signals });
  const published = Promise.all([...publishers.map((its) => its.run()), makeNoise(connection, calm.signal)]);
  const lives = Promise.all(clients.map((client) => client.run()));
  const forMs = options.seconds * 1000;
  await makeTrouble({ nats, bridges, random: random.fork('trouble'), findings, forMs });
  calm.abort();
  await published;
  await settle(clients, publishers, books);
  await compare(connection, jsm, books, findings);
  over.abort();
  await lives;
  await takeStock(bridges, books, findings);
  return findings;
}

/** NATS with its streams, and the bridges, each with a way of its own to NATS. */
async function buildSite() {
  const nats = await startNats({ jetStream: true });
  const { connection } = await startPublisher(nats);
  const jsm = await jetstreamManager(connection);
  await addStreams(jsm);
  const links = await Promise.all(Array.from({ length: BRIDGES }, () => Link.open(nats)));
  const bridges = new Bridges(BRIDGE_CONFIG, links);
  for (let index = 0; index < bridges.count; index += 1) await bridges.start(index);
  return { nats, connection, jsm, bridges, epochs: await readEpochs(bridges) };
}

function makeClients(
  { seconds, clients }: StressOptions,
  random: Random,
  { books, bridges, findings, epochs, calm, over }: SharedByClients,
): StressClient[] {
  return Array.from({ length: clients }, (_, index) => {
    const its = random.fork(`client ${index}`);
    return new StressClient({
      name: `client ${index}`,
      random: its,
      books: its.shuffled(books).slice(0, 1 + its.below(MOST_CHANNELS)),
      bridges,
      findings,
      epochs,
      longestAwayMs: Math.max(3000, (seconds * 1000) / 5),
      longestLagMs: Math.max(1500, (seconds * 1000) / 6),
      calm,
      over,
    });
  });
}

/** The epoch of each stream, as a client that reads nothing else is told. */
async function readEpochs(bridges: Bridges): Promise<Map<string, string>> {
  const epochs = new Map<string, string>();
  const [address] = bridges.addresses;
  for (const stream of STREAMS) {
    const target = `/events/${channelOf(stream).name}`;
    const epoch = await poll(`the epoch of ${stream}`, () => epochOf(address?.port ?? 0, target));
    epochs.set(stream, epoch);
  }
  return epochs;
}

async function epochOf(port: number, target: string): Promise<string | undefined> {
  let epoch: string | undefined;
  const visit: Visit = new Visit({
    port,
    target,
    cursor: '',
    leaveAfterBytes: Number.POSITIVE_INFINITY,
    onEvent: ({ event, id }) => {
      if (event === 'sidestream.open') [epoch] = id.split('.');
      visit.leave();
    },
    onViolation: () => visit.leave(),
  });
  await visit.ended;
  return epoch === '' ? undefined : epoch;
}

async function makeNoise(connection: NatsConnection, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    connection.publish(NOISE);
    await sleep(1000 / NOISE_RATE);
  }
}

/** Everybody is back; then the last publications, which all must get. */
async function settle(
  clients: readonly StressClient[],
  publishers: readonly ChannelPublisher[],
  books: readonly Book[],
): Promise<void> {
  const endMs = performance.now() + CALM_MS;
  const isAllBack = () => clients.every(({ isGreeted }) => isGreeted);
  while (!isAllBack() && performance.now() < endMs) await sleep(20);
  for (const client of clients) if (!client.isGreeted) client.fault('', 'never got a stream again');
  for (const publisher of publishers) await publisher.finish();
  const last = new Map(books.map((book) => [book, book.stored]));
  const isBehind = (client: StressClient) => client.behind(last).length > 0;
  while (clients.some(isBehind) && performance.now() < endMs) {
    // What core NATS carries is not kept for a bridge that has just come back: only what comes then must arrive.
    for (const [index, publisher] of publishers.entries())
      if (books[index]?.spec.stream === undefined) await publisher.publish();
    await sleep(20);
  }
  for (const client of clients) {
    for (const { channel, has } of client.behind(last))
      client.fault(channel, `has publication ${has ?? 'none'} and nothing after it, all calm`);
  }
}

async function compare(
  connection: NatsConnection,
  jsm: JetStreamManager,
  books: readonly Book[],
  findings: Findings,
): Promise<void> {
  for (const what of await compareWithStreams(connection, jsm, books))
    findings.fault({ who: 'nats-server', channel: '', what, trail: [] });
}

/** What is left when all have gone, and what happened that the clients cannot know. */
async function takeStock(bridges: Bridges, books: readonly Book[], findings: Findings): Promise<void> {
  const isLeft = async () => (await bridges.connections()) === 0;
  await poll('the bridges to notice that all have left', isLeft).catch((error: unknown) => {
    findings.fault({ who: 'bridges', channel: '', what: String(error), trail: [] });
  });
  findings.complaints = bridges.complaints;
  for (const [what, total] of await bridges.totals()) findings.count(what, total);
  for (const { spec, stored } of books) findings.count(`published: ${spec.debt}`, stored);
}
