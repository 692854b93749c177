import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLog } from '../../src/log.ts';
import { type Placed, Slot } from '../../src/workers/slot.ts';
import type { Start } from '../../src/workers/worker-process.ts';
import type { LogLine } from '../support/bridge.ts';
import { ManualClock } from '../support/clock.ts';

const LISTENING: Start = { kind: 'listening', http: { host: '127.0.0.1', port: 1 } };
/** Longer than any wait before a worker is started again. */
const LONG_MS = 10_000;

class FakeWorker implements Placed {
  readonly pid: number;
  readonly needsNats: boolean;
  readonly started: Promise<Start>;
  readonly gone: Promise<void>;
  state: Placed['state'] = 'starting';
  hasListened = false;
  hasNats = true;
  isKilled = false;
  #decide: (start: Start) => void = () => undefined;
  #end: () => void = () => undefined;

  constructor(pid: number, needsNats: boolean) {
    this.pid = pid;
    this.needsNats = needsNats;
    this.started = new Promise((resolve) => {
      this.#decide = resolve;
    });
    this.gone = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  async letsIn(): Promise<boolean> {
    return this.hasNats;
  }

  listen(): void {
    this.state = 'listening';
    this.hasListened = true;
    this.#decide(LISTENING);
  }

  fail(message: string): void {
    this.#decide({ kind: 'failed', error: new Error(message) });
  }

  drain(): void {
    if (this.state === 'listening') this.state = 'draining';
  }

  kill(): void {
    this.isKilled = true;
  }

  end(): void {
    this.state = 'gone';
    this.#decide({ kind: 'died', how: 'SIGKILL' });
    this.#end();
  }
}

/** A place with one worker that listens, and all who were ever started in it, in order. */
async function placeOf({ isServed }: { readonly isServed: boolean } = { isServed: true }) {
  const workers: FakeWorker[] = [];
  const logs: LogLine[] = [];
  const problems: Error[] = [];
  const clock = new ManualClock();
  const slot = new Slot({
    number: 1,
    clock,
    log: createLog({ level: 'info', format: 'json' }, { write: (line) => logs.push(JSON.parse(line)) }),
    spawn: (_, { needsNats }) => {
      const worker = new FakeWorker(workers.length, needsNats);
      workers.push(worker);
      return worker;
    },
    isServed: () => isServed,
    stuck: (problem) => problems.push(problem),
  });
  /** The one that was started as this one, from 0. */
  const at = (index: number) => workers[index] ?? expect.fail(`there is no worker ${index}`);
  const die = async (index: number) => {
    at(index).end();
    void slot.lost(at(index), 'SIGKILL');
    await passed();
  };
  /** Asks for another than the one that is there; says how that went when it is known. */
  const replace = () => {
    const result = { outcome: 'pending' };
    const stale = slot.current;
    slot
      .replace((worker) => worker === stale, {})
      .then(
        () => {
          result.outcome = 'replaced';
        },
        (error: Error) => {
          result.outcome = error.message;
        },
      );
    return result;
  };
  const started = slot.start();
  at(0).listen();
  await started;
  return { slot, workers, logs, problems, clock, at, die, replace };
}

/** All that is due now has happened. */
async function passed(ms = 0): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a worker is replaced', () => {
  it('by one that listens, before it ends its streams', async () => {
    const { slot, at, replace } = await placeOf();
    const result = replace();
    await passed();
    expect([at(0).state, at(1).state]).toEqual(['listening', 'starting']);
    at(1).listen();
    await passed();
    expect(slot.current).toBe(at(1));
    expect([at(0).state, result.outcome]).toEqual(['draining', 'pending']);
    at(0).end();
    await passed();
    expect(result.outcome).toBe('replaced');
  });

  it('not by one that does not start', async () => {
    const { slot, at, replace } = await placeOf();
    const result = replace();
    await passed();
    at(1).fail('no key');
    await passed();
    expect(result.outcome).toBe('no key');
    expect([slot.current, at(0).state, at(1).isKilled]).toEqual([at(0), 'listening', true]);
  });

  it('by one that has NATS, where it has NATS itself; otherwise by any', async () => {
    const { at, replace } = await placeOf();
    replace();
    await passed();
    at(1).listen();
    await passed();
    at(0).end();
    at(1).hasNats = false;
    await passed();
    replace();
    await passed();
    expect([at(1).needsNats, at(2).needsNats]).toEqual([true, false]);
  });

  it('once, however often that one is to go', async () => {
    const { slot, workers, at } = await placeOf();
    const stale = at(0);
    const first = slot.replace((worker) => worker === stale, {});
    await passed();
    at(1).listen();
    await passed();
    stale.end();
    await first;
    await slot.replace((worker) => worker === stale, {});
    expect(workers).toHaveLength(2);
  });

  it('by one that counts as new: where that dies at once, its own successors wait', async () => {
    const { at, replace, die, clock, logs } = await placeOf();
    clock.advance(60_000);
    replace();
    await passed();
    at(1).listen();
    await passed();
    at(0).end();
    clock.advance(1000);
    await die(1);
    expect(logs.at(-1)).toMatchObject({ message: 'a worker died; it is replaced', livedMs: 1000 });
    expect(logs).toHaveLength(1);
  });
});

describe('a worker that dies', () => {
  it('while another starts in its place is followed by that one alone', async () => {
    const { slot, workers, at, replace, die } = await placeOf();
    const result = replace();
    await passed();
    await die(0);
    await passed(LONG_MS);
    at(1).listen();
    await passed(LONG_MS);
    expect(result.outcome).toBe('replaced');
    expect(slot.current).toBe(at(1));
    expect(workers).toHaveLength(2);
  });

  it('while another starts in its place, which does not start, is restored', async () => {
    const { slot, at, replace, die } = await placeOf();
    const result = replace();
    await passed();
    await die(0);
    at(1).fail('no key');
    await passed();
    expect(result.outcome).toBe('no key');
    await passed(LONG_MS);
    at(2).listen();
    await passed();
    expect([slot.current, at(2).needsNats]).toEqual([at(2), false]);
  });

  it('shortly before it is to be replaced is: whoever is started then is new', async () => {
    const { slot, workers, at, replace, die } = await placeOf();
    await die(0);
    const result = replace();
    await passed();
    at(1).listen();
    await passed();
    expect(result.outcome).toBe('replaced');
    expect([slot.current, workers.length]).toEqual([at(1), 2]);
  });

  it('and whose successor is starting when it is to be replaced is: that one is not new', async () => {
    const { slot, at, replace, die } = await placeOf();
    await die(0);
    await passed(LONG_MS);
    const result = replace();
    at(1).listen();
    await passed();
    expect([result.outcome, slot.current]).toEqual(['pending', at(1)]);
    at(2).listen();
    await passed();
    at(1).end();
    await passed();
    expect([result.outcome, slot.current]).toEqual(['replaced', at(2)]);
  });

  it('and whose successor does not start either: the next is new, and if that fails, it is said', async () => {
    const { slot, at, replace, die } = await placeOf();
    await die(0);
    await passed(LONG_MS);
    const result = replace();
    at(1).end();
    await passed(LONG_MS);
    expect(result.outcome).toBe('pending');
    at(2).fail('no key');
    await passed();
    expect(result.outcome).toBe('no key');
    await passed(LONG_MS);
    at(3).listen();
    await passed();
    expect(slot.current).toBe(at(3));
  });

  it('again and again before it listens, however slowly, ends all where nobody else serves', async () => {
    const { at, die, clock, problems, slot } = await placeOf({ isServed: false });
    clock.advance(60_000);
    await die(0);
    for (let index = 1; index <= 5; index += 1) {
      await passed(LONG_MS);
      clock.advance(30_000);
      at(index).end();
      await passed();
    }
    expect(problems).toMatchObject([{ code: 'WORKER_DIED' }]);
    await slot.replace(() => true, {});
  });
});
