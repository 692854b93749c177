import { describe, expect, it } from 'vitest';
import type { PresenceConfig } from '../../src/config/schema.ts';
import { BackendEvents } from '../../src/presence/backend-events.ts';
import { Reporter } from '../../src/presence/reporter.ts';
import type { Tracking } from '../../src/presence/tracking.ts';
import { ManualClock } from '../support/clock.ts';

const PRESENCE: PresenceConfig = { claims: [], events: true, leaveAfterMs: 15_000, access: 'readers' };
const ALL = ['occupied', 'vacated', 'join', 'leave'] as const;

interface Followed {
  readonly name: string;
  readonly tracking: Tracking;
}

interface Told {
  readonly subject: string;
  readonly channel: string;
  readonly members?: readonly object[];
  readonly [field: string]: unknown;
}

function setUp(wanted: readonly (typeof ALL)[number][] = ALL) {
  const clock = new ManualClock();
  const told: Told[] = [];
  const nats: { isThere: boolean; maxPayloadBytes?: number } = { isThere: true };
  const events = new BackendEvents({
    prefix: 'sidestream',
    instance: 'i',
    events: wanted,
    wall: () => clock.wall(),
    maxPayloadBytes: () => nats.maxPayloadBytes,
    publish(subject, payload) {
      const isSent = nats.isThere && Buffer.byteLength(payload) <= (nats.maxPayloadBytes ?? Infinity);
      if (isSent) told.push({ subject: subject.replace('sidestream.event.', ''), ...JSON.parse(payload) });
      return isSent;
    },
  });
  const reporter = new Reporter({
    events,
    isResponsible: (channel) => channel !== 'theirs',
    count: () => 7,
    route: () => 'room',
  });
  const brief = () =>
    told.map(({ subject, channel, members }) =>
      [subject, channel, ...(members === undefined ? [] : [members.length])].join(' '),
    );
  return { clock, told, nats, events, reporter, brief };
}

function channel(name: string, presence: PresenceConfig | undefined = PRESENCE): Followed {
  return { name, tracking: { presence, leaveAfterMs: 15_000 } };
}

function member(key: string, of = channel('a')) {
  return { key, channel: of, tracking: of.tracking, claims: undefined };
}

describe('what backends are told of channels and members', () => {
  it('says who, where, how many there are and when', () => {
    const { reporter, told } = setUp();
    reporter.joined({ ...member('u:42'), claims: { name: 'Ann' } });
    reporter.joined(member('c:x'));
    expect(told).toEqual([]);
    reporter.flush();
    expect(told).toEqual([
      {
        subject: 'presence.join',
        instance: 'i',
        channel: 'a',
        route: 'room',
        members: [{ user: '42', claims: { name: 'Ann' } }, { id: 'x' }],
        count: 7,
        time: '2026-01-01T00:00:00.000Z',
      },
    ]);
  });

  it('lists up to a hundred members in one event, and loses none', () => {
    const { reporter, told, brief } = setUp();
    const a = channel('a');
    for (let i = 0; i < 250; i += 1) reporter.joined(member(`u:${i}`, a));
    for (let i = 0; i < 3; i += 1) reporter.left(member(`u:${i}`, a));
    reporter.flush();
    expect(brief()).toEqual([
      'presence.join a 100',
      'presence.join a 100',
      'presence.join a 50',
      'presence.leave a 3',
    ]);
    expect(told.slice(0, 3).flatMap(({ members }) => members)).toEqual(
      Array.from({ length: 250 }, (_, i) => ({ user: String(i) })),
    );
    reporter.flush();
    expect([told.length, reporter.isPending]).toEqual([4, false]);
  });

  it('lists no more in one event than NATS takes, and leaves out only who is too large alone', () => {
    const { reporter, nats, told, events, clock } = setUp();
    const claims = { name: 'é'.repeat(100) };
    const frame = {
      instance: 'i',
      channel: 'a',
      route: 'room',
      members: [],
      count: 7,
      time: new Date(clock.wall()),
    };
    const one = Buffer.byteLength(JSON.stringify({ user: '10', claims }));
    // Ten and the commas between them, to the byte.
    nats.maxPayloadBytes = Buffer.byteLength(JSON.stringify(frame)) + 10 * one + 9;
    const names = Array.from({ length: 35 }, (_, i) => `${10 + i}`);
    for (const name of names) reporter.joined({ ...member(`u:${name}`), claims });
    reporter.joined({ ...member('u:large'), claims: { name: 'x'.repeat(nats.maxPayloadBytes) } });
    for (const name of names) reporter.left({ ...member(`u:${name}`), claims });
    reporter.flush();
    const sizes = told.map(({ subject, members = [] }) => `${subject} ${members.length}`);
    const parts = (event: string) => [10, 10, 10, 5].map((count) => `presence.${event} ${count}`);
    expect(sizes).toEqual([...parts('join'), ...parts('leave')]);
    const all = names.map((user) => ({ user, claims }));
    expect(told.flatMap(({ members = [] }) => members)).toEqual([...all, ...all]);
    expect(events.counts).toEqual({ sent: 8, dropped: 1 });
  });

  it('tells who left a channel ahead of its being vacated, and leaves other channels to wait', () => {
    const { reporter, brief } = setUp();
    const [a, b] = [channel('a'), channel('b')];
    reporter.left(member('u:1', a));
    reporter.left(member('u:1', b));
    reporter.vacated(a);
    expect(brief()).toEqual(['presence.leave a 1', 'channel.vacated a']);
    expect(reporter.isPending).toBe(true);
    reporter.vacated(b);
    reporter.flush();
    expect(brief().slice(2)).toEqual(['presence.leave b 1', 'channel.vacated b']);
  });

  it('tells that somebody left ahead of their coming back', () => {
    const { reporter, brief } = setUp();
    reporter.joined(member('u:1'));
    reporter.left(member('u:2'));
    reporter.joined(member('u:2'));
    reporter.flush();
    expect(brief()).toEqual(['presence.join a 1', 'presence.leave a 1', 'presence.join a 1']);
  });

  it('keeps ten thousand members at most until they are told', () => {
    const { reporter, told } = setUp();
    const a = channel('a');
    for (let i = 0; i < 9_999; i += 1) reporter.joined(member(`u:${i}`, a));
    expect(told).toHaveLength(0);
    reporter.joined(member('u:9999', a));
    expect([told.length, reporter.isPending]).toEqual([100, false]);
    // What was told counts no more.
    for (let i = 0; i < 9_999; i += 1) reporter.left(member(`u:${i}`, a));
    expect(told).toHaveLength(100);
  });

  it('is silent about channels of which another instance tells', () => {
    const { reporter, told } = setUp();
    const theirs = channel('theirs');
    reporter.occupied(theirs);
    reporter.joined(member('u:1', theirs));
    reporter.left(member('u:1', theirs));
    reporter.vacated(theirs);
    expect([reporter.isPending, told]).toEqual([false, []]);
  });

  it('is silent about what nobody asked for, and about members of routes without presence', () => {
    const everything = (reporter: Reporter, of: Followed) => {
      reporter.occupied(of);
      reporter.joined(member('u:1', of));
      reporter.left(member('u:1', of));
      reporter.vacated(of);
      reporter.flush();
    };
    for (const [wanted, subject] of [
      ['occupied', 'channel.occupied'],
      ['vacated', 'channel.vacated'],
      ['join', 'presence.join'],
      ['leave', 'presence.leave'],
    ] as const) {
      const { reporter, told } = setUp([wanted]);
      everything(reporter, channel('a'));
      expect(told.map((event) => event.subject)).toEqual([subject]);
    }
    const { reporter, brief } = setUp();
    everything(reporter, { ...channel('a'), tracking: { presence: undefined, leaveAfterMs: 1 } });
    expect(brief()).toEqual(['channel.occupied a', 'channel.vacated a']);
  });

  it('counts what cannot be sent, keeps nothing of it, and goes on', () => {
    const { reporter, nats, events, brief } = setUp();
    nats.isThere = false;
    reporter.joined(member('u:1'));
    reporter.occupied(channel('a'));
    reporter.flush();
    nats.isThere = true;
    reporter.flush();
    reporter.occupied(channel('b'));
    expect(brief()).toEqual(['channel.occupied b']);
    expect(events.counts).toEqual({ sent: 1, dropped: 2 });
  });
});
