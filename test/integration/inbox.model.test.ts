import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { TestBridge } from '../support/bridge.ts';
import { poll } from '../support/poll.ts';
import { type Inboxed, inboxOf, openBadge, startInboxed } from './inboxed.ts';

/** What is done at one of two instances; `picks` are places among what was published. */
type Step = { readonly at: 0 | 1 } & (
  | { readonly kind: 'publish'; readonly others: number }
  | { readonly kind: 'ids'; readonly picks: readonly number[] }
  | { readonly kind: 'through'; readonly picks: readonly number[] }
  | { readonly kind: 'all' }
  | { readonly kind: 'restart' }
  | { readonly kind: 'badge' }
);

const at = fc.constantFrom<0 | 1>(0, 1);
const picks = fc.array(fc.nat(30), { minLength: 1, maxLength: 4 });
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('publish' as const), at, others: fc.nat(2) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('ids' as const), at, picks }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('through' as const), at, picks }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('all' as const, 'restart', 'badge'), at }) },
);

/** Two instances, and what must be unread. */
class World {
  readonly #inboxed: Inboxed;
  readonly #bridges: [TestBridge, TestBridge];
  /** Last counts that streams were told, each with the instance that it is at. */
  #badges: { readonly at: number; readonly badge: Awaited<ReturnType<typeof openBadge>> }[] = [];
  readonly #published: number[] = [];
  readonly #unread = new Set<number>();
  readonly #epoch: string;

  constructor(inboxed: Inboxed, bridges: [TestBridge, TestBridge], epoch: string) {
    this.#inboxed = inboxed;
    this.#bridges = bridges;
    this.#epoch = epoch;
  }

  async take(step: Step): Promise<void> {
    const bridge = this.#bridges[step.at];
    switch (step.kind) {
      case 'publish':
        for (let i = 0; i < step.others; i += 1) await this.#inboxed.notify('other', {}, '7');
        return this.#publish();
      case 'badge':
        this.#badges.push({ at: step.at, badge: await openBadge(bridge) });
        return;
      case 'restart':
        this.#badges = this.#badges.filter((each) => each.at !== step.at);
        await bridge.stop();
        this.#bridges[step.at] = await this.#inboxed.bridge();
        return;
      default:
        return this.#read(bridge, step);
    }
  }

  async #publish(): Promise<void> {
    const offset = await this.#inboxed.notify('mine');
    this.#published.push(offset);
    this.#unread.add(offset);
  }

  async #read(bridge: TestBridge, step: Extract<Step, { kind: 'ids' | 'through' | 'all' }>): Promise<void> {
    const picked = 'picks' in step ? step.picks : [];
    const offsets = picked.flatMap((pick) => this.#published[pick % this.#published.length] ?? []);
    const ids = offsets.map((offset) => `${this.#epoch}.${offset}`);
    if (step.kind !== 'all' && ids.length === 0) return;
    const read = { all: { all: true }, ids: { ids }, through: { through: ids[0] } }[step.kind];
    expect(await inboxOf(bridge, { read })).toMatchObject({ status: 200 });
    for (const offset of [...this.#unread]) {
      const isRead = { all: true, ids: offsets.includes(offset), through: offset <= (offsets[0] ?? 0) };
      if (isRead[step.kind]) this.#unread.delete(offset);
    }
  }

  /** What everybody says once all has come to rest. */
  async check(): Promise<void> {
    const unread = this.#unread.size;
    const ids = [...this.#unread].map((offset) => `${this.#epoch}.${offset}`);
    for (const { badge } of this.#badges) await poll('the last count', () => lastCount(badge) === unread);
    for (const bridge of this.#bridges) {
      const { list = [], ...whole } = await poll('all to have come', async () => {
        const answer = await inboxOf(bridge);
        return answer.unread === unread ? answer : undefined;
      });
      expect([whole.status, whole.more, list.map(({ id }) => id)]).toEqual([
        200,
        undefined,
        ids.slice(0, 50),
      ]);
      expect(await inboxOf(bridge, '?count=only')).toMatchObject({ unread });
      expect(await bridge.call('unread', { user: '42' })).toMatchObject({ answer: { unread } });
    }
  }
}

function lastCount({ client }: Awaited<ReturnType<typeof openBadge>>): number | undefined {
  const told = [...client.body.matchAll(/^event: ?sidestream\.unread\ndata: ?(.*)$/gm)].at(-1)?.[1];
  return told === undefined ? undefined : JSON.parse(told).unread;
}

it('an inbox is the same at every instance and for every stream, whatever is published and read in whichever order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
      const inboxed = await startInboxed();
      const bridges = await Promise.all([inboxed.bridge(), inboxed.bridge()]);
      await inboxed.notify('other', {}, '7');
      const { through = '' } = await inboxOf(bridges[0]);
      const world = new World(inboxed, bridges, through.split('.')[0] ?? '');
      for (const each of steps) await world.take(each);
      await world.check();
    }),
    { numRuns: 8 },
  );
}, 120_000);
