import { describe, expect, it } from 'vitest';
import { Table } from '../../src/presence/table.ts';
import { ManualClock } from '../support/clock.ts';

function setUp(maxMembers = 100) {
  const clock = new ManualClock();
  const told: string[] = [];
  const table = new Table({
    clock,
    maxMembers,
    tracking: () => ({ presence: undefined, leaveAfterMs: 15_000 }),
    listener: {
      joined: ({ key }) => told.push(`+${key}`),
      left: ({ key }) => told.push(`-${key}`),
      wentAway: () => undefined,
      occupied: ({ name }) => told.push(`occupied ${name}`),
      vacated: ({ name }) => told.push(`vacated ${name}`),
    },
  });
  const say = (instance: string, key: string, connections: number, total = connections > 0 ? 1 : 0) =>
    table.apply({
      instance,
      channel: 'a',
      total,
      round: 0,
      isNews: true,
      changes: [{ key, connections, sinceMs: 0, claims: undefined }],
    });
  const pass = (ms: number) => {
    clock.advance(ms);
    table.expire(clock.now());
  };
  return { table, told, say, pass };
}

describe('the table of members', () => {
  it('has a user on two instances once, and lets them leave when neither has had them for a while', () => {
    const { table, told, say, pass } = setUp();
    say('p', 'u:1', 2);
    say('q', 'u:1', 1);
    say('p', 'u:1', 0);
    pass(60_000);
    say('q', 'u:1', 0);
    pass(14_999);
    expect([table.count('a'), told]).toEqual([1, ['occupied a', '+u:1']]);
    pass(1);
    expect([table.count('a'), table.size, told.slice(2)]).toEqual([0, 0, ['-u:1', 'vacated a']]);
  });

  it('says nothing of who comes back in time, on whatever instance', () => {
    const { told, say, pass } = setUp();
    say('p', 'u:1', 1);
    say('p', 'u:1', 0);
    pass(14_000);
    say('q', 'u:1', 1);
    pass(60_000);
    expect(told).toEqual(['occupied a', '+u:1']);
  });

  it('forgets what an instance had that is gone, and counts return to zero', () => {
    const { table, say, pass } = setUp();
    for (const key of ['u:1', 'u:2']) say('p', key, 1, 2);
    table.keepOnly('p', -1);
    pass(15_000);
    expect([table.count('a'), table.channelCount, table.hiddenCount]).toEqual([0, 0, 0]);
  });

  it('counts those for whom there is no room', () => {
    const { table, say } = setUp(1);
    say('p', 'u:1', 1, 1);
    say('p', 'u:2', 1, 2);
    expect([table.size, table.count('a'), table.hiddenCount]).toEqual([1, 2, 1]);
  });
});
