import { expect, it } from 'vitest';
import { Outbox } from '../../src/http/outbox.ts';
import { Waiting } from '../../src/http/waiting.ts';
import { Metrics } from '../../src/metrics.ts';
import type { Frame, Lane, Priority } from '../../src/protocol/frame.ts';

/** An outbox of one connection, and what comes out of it. */
function setUp() {
  const outbox = new Outbox(new Waiting(Infinity, new Metrics()), true);
  const lane: Lane = { channel: 'a', policy: 'drop', counts: { dropped: 0, superseded: 0 } };
  let sequence = 0;
  return {
    outbox,
    lane,
    /** Events of a channel with `slow: drop`, one of each priority given. */
    push: (...priorities: readonly Priority[]) => {
      for (const priority of priorities) {
        sequence += 1;
        const position = { sequence, offset: sequence, log: { epoch: 'e' }, idLength: 0 };
        const bytes = Buffer.from('data: x\n\n');
        const frame: Frame = { ...position, bytes, isNotice: false, priority, lane, key: undefined };
        outbox.push(frame);
      }
    },
    read: () => {
      const out: string[] = [];
      for (let next = outbox.next(); next !== undefined; next = outbox.next())
        out.push(Buffer.from(next.bytes).toString());
      return out.join('');
    },
  };
}

/** What comes out after all that may be dropped was. */
function dropped(...priorities: readonly Priority[]): string {
  const { outbox, push, read } = setUp();
  push(...priorities);
  outbox.drop(0);
  return read();
}

const told = (skipped: number) =>
  `event: sidestream.gap\ndata: {"channel":"a","reason":"slow","skipped":${skipped}}\n\n`;

it('what is dropped in a row is told once', () => {
  expect(dropped(0, 0, 0, 0, 0)).toBe(told(5));
});

it('what is dropped of a higher priority is told where it would have come, not behind the lower ones', () => {
  expect(dropped(1, 0, 0)).toBe(told(1) + told(2));
  expect(dropped(0, 0, 1)).toBe(told(3));
});

it('what waits is dropped to the last, also where very much has come and gone in between', () => {
  const { outbox, push, lane } = setUp();
  push(...Array.from({ length: 200 }, () => 0 as const));
  outbox.drop(outbox.bytes / 2);
  expect(lane.counts.dropped).toBe(100);
  // The gap, and most of the others.
  for (let i = 0; i < 80; i += 1) outbox.next();
  expect(outbox.bytes).toBeGreaterThan(0);
  outbox.drop(0);
  expect([outbox.bytes, lane.counts.dropped]).toEqual([0, 200 - 79]);
});

it.each(['drop', 'latest'] as const)(
  'no more places are held than there are events, however many come to a reader that takes none: %s',
  (policy) => {
    const { outbox } = setUp();
    const lane: Lane = { channel: 'b', policy, counts: { dropped: 0, superseded: 0 } };
    for (let sequence = 1; sequence <= 10_000; sequence += 1) {
      const priority = policy === 'drop' || sequence % 3 === 0 ? 0 : sequence % 3 === 1 ? 1 : 2;
      const position = { sequence, offset: sequence, log: { epoch: 'e' }, idLength: 0 };
      const bytes = Buffer.from('data: x\n\n');
      outbox.push({ ...position, bytes, isNotice: false, priority, lane, key: 'k' });
      outbox.drop(10 * bytes.length);
    }
    expect(lane.counts.dropped + lane.counts.superseded).toBeGreaterThan(9900);
    expect(outbox.places).toBeLessThan(300);
  },
);

it('a value that replaces another goes with its own priority where that is higher, and in the place of the other where it is not', () => {
  const { outbox } = setUp();
  const lane: Lane = { channel: 'b', policy: 'latest', counts: { dropped: 0, superseded: 0 } };
  let sequence = 0;
  const push = (key: string, priority: Priority, data: string) => {
    sequence += 1;
    const position = { sequence, offset: sequence, log: { epoch: 'e' }, idLength: 0 };
    outbox.push({ ...position, bytes: Buffer.from(data), isNotice: false, priority, lane, key });
  };
  push('a', 0, 'a1 ');
  push('b', 0, 'b1 ');
  push('c', 0, 'c1 ');
  push('b', 2, 'b2 ');
  push('a', 0, 'a2 ');
  const out: string[] = [];
  for (let next = outbox.next(); next !== undefined; next = outbox.next())
    out.push(Buffer.from(next.bytes).toString());
  expect(out.join('').replaceAll(/event: sidestream.skipped\ndata: .*\n\n/g, '')).toBe('b2 a2 c1 ');
});

it('a client that was told of a drop is brought up to date: its cursor is behind', () => {
  const { outbox, push, read } = setUp();
  push(0, 0);
  outbox.drop(0);
  read();
  expect(outbox.isCursorBehind).toBe(true);
});
