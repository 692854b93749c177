import { describe, expect, it } from 'vitest';
import { membersPage } from '../../src/presence/page.ts';
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
  const forget = (instance: string) => [...table.sweep(instance, { round: 1, isGone: true })];
  return { table, told, say, pass, forget };
}

/** How many there are, and who. */
function listed(table: Table): string[] {
  const page = membersPage({ channel: 'a', count: table.count('a') }, table.channel('a'), {
    limit: 100,
    after: undefined,
  });
  return [`${page.count}`, ...page.members.map(({ user }) => `u:${user}`)];
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
    const { table, say, pass, forget } = setUp();
    for (const key of ['u:1', 'u:2']) say('p', key, 1, 2);
    forget('p');
    pass(15_000);
    expect([table.count('a'), table.channelCount, table.hiddenCount]).toEqual([0, 0, 0]);
  });

  it('counts nobody whom only an instance had that is gone, but lets them leave as late as anybody', () => {
    const { table, told, say, pass, forget } = setUp();
    say('p', 'u:1', 1, 1);
    say('p', 'u:2', 1, 3);
    say('q', 'u:2', 1, 1);
    say('q', 'u:3', 1, 2);
    say('q', 'u:3', 0, 1);
    expect(listed(table)).toEqual(['4', 'u:1', 'u:2', 'u:3']);
    forget('p');
    expect(listed(table)).toEqual(['2', 'u:2', 'u:3']);
    forget('p');
    pass(14_999);
    expect(told).toEqual(['occupied a', '+u:1', '+u:2', '+u:3']);
    pass(1);
    expect(told.slice(4)).toEqual(['-u:3', '-u:1']);
    expect(listed(table)).toEqual(['1', 'u:2']);
    forget('q');
    expect(listed(table)).toEqual(['0']);
    pass(15_000);
    expect([told.slice(6), table.size, table.hasAway]).toEqual([['-u:2', 'vacated a'], 0, false]);
  });

  it('has who comes back from an instance that is gone as if they had never been away', () => {
    const { table, told, say, pass, forget } = setUp();
    say('p', 'u:1', 1);
    forget('p');
    pass(14_000);
    say('q', 'u:1', 2);
    pass(60_000);
    expect([listed(table), told]).toEqual([
      ['1', 'u:1'],
      ['occupied a', '+u:1'],
    ]);
  });

  it('forgets in steps, and has whoever comes back in between', () => {
    const { table, say, pass } = setUp(10_000);
    for (let n = 0; n < 5000; n += 1) say('p', `u:${n}`, 1, n + 1);
    const sweep = table.sweep('p', { round: 1, isGone: true });
    expect([sweep.next().done, table.count('a')]).toEqual([false, 3000]);
    const changes = ['u:0', 'u:4999'].map((key) => ({ key, connections: 1, sinceMs: 0, claims: undefined }));
    table.apply({ instance: 'p', channel: 'a', total: 2, round: 1, isNews: true, changes });
    expect([...sweep].length).toBe(1);
    expect(listed(table)).toEqual(['2', 'u:0', 'u:4999']);
    for (const ms of [15_000, 0, 0]) pass(ms);
    expect([table.size, table.hiddenCount, listed(table)]).toEqual([2, 0, ['2', 'u:0', 'u:4999']]);
  });

  it('lets no more leave at once than a turn can take, and the rest after that', () => {
    const { table, say, pass, forget } = setUp(10_000);
    for (let n = 0; n < 5000; n += 1) say('p', `u:${n}`, 1, n + 1);
    forget('p');
    pass(15_000);
    expect(table.size).toBe(3000);
    pass(0);
    pass(0);
    expect([table.size, table.hasAway]).toEqual([0, false]);
  });

  it('counts those for whom there is no room', () => {
    const { table, say } = setUp(1);
    say('p', 'u:1', 1, 1);
    say('p', 'u:2', 1, 2);
    expect([table.size, table.count('a'), table.hiddenCount]).toEqual([1, 2, 1]);
  });
});
