import { describe, expect, it } from 'vitest';
import type { BackendEvent } from '../../src/config/schema.ts';
import { BackendEvents } from '../../src/presence/backend-events.ts';
import { StreamEvents, type ToldStream } from '../../src/presence/stream-events.ts';
import { ManualClock } from '../support/clock.ts';

function setUp(...wanted: BackendEvent[]) {
  const clock = new ManualClock();
  const told: Record<string, unknown>[] = [];
  const events = new BackendEvents({
    prefix: 'p',
    instance: 'i',
    events: wanted,
    wall: () => clock.wall(),
    publish: (subject, payload) => told.push({ subject, ...JSON.parse(payload) }) > 0,
  });
  return { clock, told, streams: new StreamEvents({ events, now: () => clock.now() }) };
}

const stream: ToldStream = {
  id: 'c1',
  client: { address: '203.0.113.7', identity: { subject: '42' } },
  channels: [{ name: 'a' }, { name: 'b' }],
  rendering: undefined,
};
const FIELDS = {
  instance: 'i',
  connection: 'c1',
  user: '42',
  address: '203.0.113.7',
  channels: ['a', 'b'],
  transport: 'sse',
};

describe('what backends are told of streams', () => {
  it('says who, from where, on what and how, and at the end why and after how long', () => {
    const { clock, told, streams } = setUp('connected', 'disconnected');
    streams.opened(stream);
    clock.advance(1234.4);
    streams.ended(stream, 'client');
    expect(told).toEqual([
      { subject: 'p.event.connected', ...FIELDS, time: '2026-01-01T00:00:00.000Z' },
      {
        subject: 'p.event.disconnected',
        ...FIELDS,
        reason: 'client',
        durationMs: 1234,
        time: '2026-01-01T00:00:01.234Z',
      },
    ]);
  });

  it('says no user where no token names one, and NDJSON where it is that', () => {
    const { told, streams } = setUp('connected');
    const identity = { subject: undefined };
    streams.opened({ ...stream, client: { address: '', identity }, rendering: { format: 'ndjson' } });
    streams.opened({ ...stream, client: { address: '', identity: undefined }, rendering: { format: 'sse' } });
    expect(told).toMatchObject([{ transport: 'ndjson' }, { transport: 'sse' }]);
    for (const event of told) expect(event).not.toHaveProperty('user');
  });

  it('says only what was asked for, never that a stream ended twice, and holds none that ended', () => {
    const { told, streams } = setUp('disconnected');
    streams.opened(stream);
    expect([told, streams.size]).toEqual([[], 1]);
    streams.ended(stream, 'revoked');
    streams.ended(stream, 'client');
    expect(told).toMatchObject([{ reason: 'revoked' }]);
    expect(streams.size).toBe(0);
    const silent = setUp('instances');
    silent.streams.opened(stream);
    expect([silent.streams.size, silent.told]).toEqual([1, []]);
    silent.streams.ended(stream, 'client');
    expect([silent.streams.size, silent.told]).toEqual([0, []]);
  });
});
