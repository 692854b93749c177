import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Entry, ToWorker } from '../../src/workers/messages.ts';
import { Rounds } from '../../src/workers/rounds.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Longer than a worker that does not answer is waited for. */
const LONG_MS = 1000;

class Peer {
  readonly state = 'listening';
  readonly inbox: ToWorker[] = [];

  send(message: ToWorker): void {
    this.inbox.push(message);
  }

  /** What it was told of these keys, in order. */
  get told(): (readonly [string, number, number])[] {
    return this.inbox.flatMap((message) => (message.kind === 'word' ? message.counts : []));
  }

  get isAsked(): boolean {
    return this.inbox.some(({ kind }) => kind === 'count');
  }
}

const HELD: readonly Entry[] = [['connections', 3]];

/** Rounds that have settled, of these peers. */
function roundsOf(...peers: Peer[]): Rounds<Peer> {
  const rounds = new Rounds<Peer>(() => peers.length);
  for (const peer of peers) rounds.join(peer);
  vi.advanceTimersByTime(LONG_MS);
  for (const peer of peers) peer.inbox.length = 0;
  return rounds;
}

/** All are asked, and nobody has answered yet. */
function ask(rounds: Rounds<Peer>, ...peers: Peer[]): void {
  rounds.changed();
  for (let waitedMs = 0; waitedMs < LONG_MS && !peers.every(({ isAsked }) => isAsked); waitedMs += 10)
    vi.advanceTimersByTime(10);
  for (const peer of peers) expect(peer.isAsked).toBe(true);
}

describe('a worker', () => {
  it('that joins is told at once what the others hold', () => {
    const [first, second] = [new Peer(), new Peer()];
    const rounds = roundsOf(first);
    rounds.hear(first, HELD, []);
    rounds.join(second);
    expect(second.told).toEqual([['connections', 3, 0]]);
    rounds.stop();
  });

  it('that does not answer holds nobody up for long', () => {
    const [first, mute] = [new Peer(), new Peer()];
    const rounds = roundsOf(first, mute);
    ask(rounds, first, mute);
    rounds.hear(first, HELD, []);
    expect(mute.told).toEqual([]);
    vi.advanceTimersByTime(LONG_MS);
    expect(mute.told[0]).toEqual(['connections', 3, 0]);
    expect(first.told[0]).toEqual(['connections', 0, 3]);
    rounds.stop();
  });

  it('that goes while it is asked is waited for no longer', () => {
    const [first, goes] = [new Peer(), new Peer()];
    const rounds = roundsOf(first, goes);
    ask(rounds, first, goes);
    rounds.hear(first, HELD, []);
    expect(first.told).toEqual([]);
    rounds.leave(goes);
    expect(first.told[0]).toEqual(['connections', 0, 3]);
    rounds.stop();
  });
});
