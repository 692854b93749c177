import { describe, expect, it } from 'vitest';
import type { PresenceConfig } from '../../src/config/schema.ts';
import { type Announcement, Announcer } from '../../src/presence/announcer.ts';
import type { Claims } from '../../src/presence/member.ts';
import { ManualClock } from '../support/clock.ts';

const PRESENCE: PresenceConfig = { claims: [], events: true, leaveAfterMs: 15_000, access: 'readers' };

function setUp({ presence = PRESENCE, subscribers = 1 } = {}) {
  const clock = new ManualClock();
  const told: (Announcement & { readonly event: string })[] = [];
  const state = { count: 0, subscribers };
  const announcer = new Announcer({
    clock,
    subscribers: () => state.subscribers,
    count: () => state.count,
    notice: (_, event, data) => told.push({ event, ...data }),
  });
  const tracking = { presence, leaveAfterMs: 15_000 };
  const channel = {
    name: 'a',
    tracking,
    members: new Map(),
    lost: 0,
    tallies: [],
  };
  const member = (key: string, claims?: Claims) => ({
    key,
    channel,
    tracking,
    sinceMs: 0,
    claims,
    shares: [],
    awaySinceMs: 0,
    isLost: false,
  });
  const join = (from: number, to: number) => {
    for (let n = from; n < to; n += 1) announcer.joined(member(`u:${n}`));
    state.count += to - from;
  };
  return { clock, told, state, announcer, member, join };
}

describe('who comes and goes', () => {
  it('is told at once the first time, with claims; of who leaves, without', () => {
    const { announcer, member, told, state } = setUp();
    state.count = 1;
    announcer.joined(member('u:1', { name: 'Ada' }));
    announcer.flush();
    announcer.left(member('u:0', { name: 'Bob' }));
    announcer.flush();
    expect(told).toEqual([
      { event: 'sidestream.join', channel: 'a', members: [{ user: '1', claims: { name: 'Ada' } }], count: 1 },
    ]);
  });

  it('is gathered for a millisecond per member, up to half a minute', () => {
    const { announcer, clock, told, join } = setUp();
    join(0, 5000);
    announcer.flush();
    join(5000, 5010);
    clock.advance(4999);
    announcer.flush();
    expect(told.length).toBe(1);
    clock.advance(1);
    announcer.flush();
    expect(told.length).toBe(2);
    join(5010, 200_000);
    clock.advance(30_000);
    announcer.flush();
    join(200_000, 200_001);
    clock.advance(29_999);
    announcer.flush();
    expect(told.length).toBe(3);
    clock.advance(1);
    announcer.flush();
    expect(told.length).toBe(4);
  });

  it('lists a hundred at most, says how many more there were, and forgets them', () => {
    const { announcer, told, join, clock } = setUp();
    join(0, 250);
    announcer.flush();
    clock.advance(1000);
    announcer.flush();
    expect(told).toMatchObject([{ count: 250, more: 150 }]);
    expect(told[0]?.members.length).toBe(100);
    expect(announcer.isPending).toBe(false);
  });

  it('lists about 4 KiB at most, but one member always', () => {
    const { announcer, member, told } = setUp();
    for (const key of ['u:1', 'u:2', 'u:3']) announcer.joined(member(key, { name: 'é'.repeat(1500) }));
    announcer.left(member(`u:${'x'.repeat(10_000)}`));
    announcer.left(member('u:4'));
    announcer.flush();
    expect(told).toMatchObject([
      { event: 'sidestream.join', members: [{ user: '1' }], more: 2 },
      { event: 'sidestream.leave', members: [{}], more: 1 },
    ]);
  });

  it('is nothing of who came and went, or went and came, in between', () => {
    const { announcer, member, told } = setUp();
    announcer.joined(member('u:1'));
    announcer.left(member('u:1'));
    announcer.left(member('u:2'));
    announcer.joined(member('u:2'));
    announcer.flush();
    announcer.flush();
    expect([told, announcer.isPending]).toEqual([[], false]);
  });

  it.each([
    ['the route says no', { presence: { ...PRESENCE, events: false } }],
    ['only the control plane may know', { presence: { ...PRESENCE, access: 'control' as const } }],
    ['nobody is there to be told', { subscribers: 0 }],
  ])('is not told where %s', (_, options) => {
    const { announcer, told, join } = setUp(options);
    join(0, 10);
    announcer.flush();
    expect([told, announcer.isPending]).toEqual([[], false]);
  });
});
