import { describe, expect, it } from 'vitest';
import type { Claims } from '../../src/presence/member.ts';
import { membersPage, type Page } from '../../src/presence/page.ts';
import { Table } from '../../src/presence/table.ts';
import { ManualClock } from '../support/clock.ts';

const NOBODY = { joined() {}, left() {}, wentAway() {}, occupied() {}, vacated() {} };

/** A channel of so many, who came in no order. */
function full(count: number, claims?: Claims) {
  const table = new Table({
    clock: new ManualClock(),
    maxMembers: 1_000_000,
    tracking: () => ({ presence: undefined, leaveAfterMs: 1000 }),
    listener: NOBODY,
  });
  const changes = Array.from({ length: count }, (_, index) => ({
    key: `u:${(index * 7919) % count}`,
    connections: 2,
    sinceMs: 1,
    claims,
  }));
  table.apply({ instance: 'p', channel: 'a', total: count, round: 0, isNews: true, changes });
  return (limit: number, after?: string, maxBytes?: number): Page => {
    const query = { limit, after, ...(maxBytes !== undefined && { maxBytes }) };
    return membersPage({ channel: 'a', count: table.count('a') }, table.channel('a'), query);
  };
}

describe('a page of members', () => {
  it.each([1000, 999, 1])('of %d leads to the next, until every one of 10,000 was listed once', (limit) => {
    const page = full(limit === 1 ? 100 : 10_000);
    const users: (string | undefined)[] = [];
    let next: string | undefined;
    do {
      const { count, members, ...rest } = page(limit, next);
      users.push(...members.map(({ user }) => user));
      expect(members.length).toBe(Math.min(limit, count - users.length + members.length));
      next = rest.next;
    } while (next !== undefined);
    expect(users.length).toBe(limit === 1 ? 100 : 10_000);
    expect(users).toEqual([...new Set(users)].sort());
  });

  it('ends before it is over what an answer may take, has one at least, and says where to go on', () => {
    const page = full(1000, { about: 'é'.repeat(500) });
    const users: (string | undefined)[] = [];
    let next: string | undefined;
    do {
      const { members, ...rest } = page(1000, next);
      expect(Buffer.byteLength(JSON.stringify(members))).toBeLessThan(512 * 1024 + 2);
      users.push(...members.map(({ user }) => user));
      next = rest.next;
    } while (next !== undefined);
    expect(users.length).toBe(1000);
    expect(new Set(users).size).toBe(1000);
    expect(page(1000, undefined, 10_000).members.length).toBe(9);
    expect(page(1000, undefined, 1)).toMatchObject({ members: [{ user: '0' }], next: 'u:0' });
  });

  it('begins after a name, whether or not anybody has it', () => {
    const page = full(10);
    expect(page(2, 'u:3').members.map(({ user }) => user)).toEqual(['4', '5']);
    expect(page(2, 'u:33').members.map(({ user }) => user)).toEqual(['4', '5']);
    expect(page(2, 'z')).toEqual({ channel: 'a', count: 10, members: [] });
    expect(page(10)).not.toHaveProperty('next');
    expect(page(9).next).toBe('u:8');
  });

  it('is empty where nobody is', () => {
    const page = membersPage({ channel: 'a', count: 0 }, undefined, { limit: 5, after: undefined });
    expect(page).toEqual({ channel: 'a', count: 0, members: [] });
  });
});
