import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsServer } from '../support/nats-server.ts';
import type { Bridges } from './bridges.ts';
import type { Findings } from './findings.ts';
import type { Random } from './random.ts';

export interface TroubleOptions {
  readonly nats: NatsServer;
  readonly bridges: Bridges;
  readonly random: Random;
  readonly findings: Findings;
  /** How long there is to be trouble, in milliseconds. */
  readonly forMs: number;
}

const KINDS = {
  'nats-server killed': async ({ nats, random }: TroubleOptions) => {
    await nats.kill();
    await sleep(random.between(0, 800));
    await nats.start();
  },
  'nats-server stopped': async ({ nats, random }: TroubleOptions) => {
    await nats.stop();
    await sleep(random.between(0, 300));
    await nats.start();
  },
  'bridge killed': async ({ bridges, random }: TroubleOptions) => {
    await bridges.restart(someBridge(bridges, random), 'SIGKILL', random.between(0, 500));
  },
  'bridge drained': async ({ bridges, random, findings }: TroubleOptions) => {
    const end = await bridges.restart(someBridge(bridges, random), 'SIGTERM', random.between(0, 500));
    if (end !== 0)
      findings.fault({ who: 'bridge', channel: '', what: `SIGTERM ended it with ${end}`, trail: [] });
  },
  'bridge held up': async ({ bridges, random }: TroubleOptions) => {
    await bridges.stall(someBridge(bridges, random), random.between(200, 1200));
  },
  'bridge cut off from NATS': async ({ bridges, random }: TroubleOptions) => {
    await bridges.cutOff(someBridge(bridges, random), random.between(0, 300), random.between(50, 500));
  },
} as const;

type Kind = keyof typeof KINDS;

const ALL: readonly Kind[] = Object.keys(KINDS).filter((kind): kind is Kind => kind in KINDS);
/** What even the shortest run has. */
const ALWAYS: readonly Kind[] = [
  'nats-server killed',
  'bridge killed',
  'bridge held up',
  'bridge drained',
  'bridge cut off from NATS',
];
/** The least and the most time from one trouble to the next, in milliseconds. */
const PACE_MS = [600, 6000] as const;

/** So many faults tell enough. */
const ENOUGH_FAULTS = 20;

/** One trouble after the other, each over before the next begins: the bridges and NATS run when it returns. */
export async function makeTrouble(options: TroubleOptions): Promise<void> {
  const { random, findings, forMs } = options;
  const endMs = performance.now() + forMs;
  const [least, most] = PACE_MS;
  const paceMs = Math.min(most, Math.max(least, forMs / (ALWAYS.length + 1)));
  const first = random.shuffled(ALWAYS);
  await sleep(paceMs);
  const isOver = () => performance.now() > endMs || findings.faults.length >= ENOUGH_FAULTS;
  for (let round = 0; round < first.length || !isOver(); round += 1) {
    const kind = first[round] ?? random.pick(ALL);
    findings.count(`trouble: ${kind}`);
    const beganMs = performance.now();
    await KINDS[kind](options);
    await sleep(Math.max(0, random.between(0.3, 1) * paceMs - (performance.now() - beganMs)));
  }
}

function someBridge({ count }: Bridges, random: Random): number {
  return random.below(count);
}
