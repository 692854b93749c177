import { expect, it } from 'vitest';
import { ChannelBook } from '../../src/control/channels/channel-book.ts';
import { channelOperations } from '../../src/control/channels/channel-operations.ts';
import { readInput } from '../../src/control/input.ts';
import type { Served } from '../../src/control/operation.ts';
import { Router } from '../../src/routing/router.ts';
import { ManualClock } from '../support/clock.ts';
import { routeConfig } from '../support/route.ts';

const ROUTES = { rooms: routeConfig({ channel: 'room-{id}', subject: 'rooms.{id}', dynamic: true }) };

function operation(name: string): Extract<Served, { merge: unknown }> {
  const clock = new ManualClock();
  const router = new Router(ROUTES);
  const book = new ChannelBook({ clock, router, ended: () => undefined });
  const found = channelOperations({
    book,
    router,
    clock,
    keeper: { change: () => Promise.reject(new Error('it is only asked what parts mean')) },
    expiresInMs: () => undefined,
    maxPageBytes: () => 1000,
    subscribers: () => 0,
  }).find(({ spec }) => spec.name === name);
  if (found === undefined || !('merge' in found)) throw new Error(`there is no ${name}`);
  return found;
}

it('a channel is closed for as long as those say who know it, though others do not yet', () => {
  const parts = [
    { instance: 'a', part: { isKnown: true, closed: 2, persisted: true, untilMs: 5000 } },
    { instance: 'b', part: { isKnown: false, closed: 0, persisted: false } },
    { instance: 'c', part: { isKnown: true, closed: 1, persisted: true, untilMs: 6000 } },
  ];
  const { merge } = operation('close');
  const until = new Date(6000).toISOString();
  expect(merge(parts, { channel: 'room-1' }, [])).toMatchObject({ closed: 3, persisted: true, until });
  const forGood = [...parts, { instance: 'd', part: { isKnown: true, closed: 0, persisted: true } }];
  expect(merge(forGood, { channel: 'room-1' }, [])).not.toHaveProperty('until');
});

it('a channel is new where any instance had to write it, whichever was quicker', () => {
  const part = (isNew: boolean) => ({ createdMs: 0, timeoutMs: 1000, isNew });
  const { merge } = operation('create');
  const merged = (...parts: object[]) =>
    merge(
      parts.map((made, i) => ({ instance: `${i}`, part: made })),
      { channel: 'room-1' },
      [],
    );
  const created = new Date(0).toISOString();
  const found = { channel: 'room-1', route: 'rooms', created, timeoutMs: 1000 };
  expect(merged(part(false), part(true))).toEqual({ ...found, isNew: true });
  expect(merged(part(false), part(false))).toEqual({ ...found, isNew: false });
});

it('a time that cannot be read is answered by how one is written, and one that is too short by what is taken', () => {
  const { spec } = operation('close');
  const close = (time: unknown) => () => readInput(spec, { channel: 'room-1', for: time });
  for (const time of ['soon', '1 h', '', true, null])
    expect(close(time)).toThrow(/^for: must be a duration like 15m, or milliseconds$/);
  expect(close('10ms')).toThrow(/^for: must be from 1s to 366d$/);
  expect(close('10m')()).toMatchObject({ for: '10m' });
});
