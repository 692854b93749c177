import { describe, expect, it } from 'vitest';
import { startBridge, type TestBridge } from '../support/bridge.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { ATTENDED, agree, attend, membersOf, toldUntil } from './attending.ts';
import { acquainted, call, refusal } from './controlled.ts';
import { NdjsonClient } from './ndjson-client.ts';
import { longPoll, waitingPoll } from './polling.ts';
import { bearer, signed } from './protected.ts';

async function two(): Promise<{ nats: NatsServer; one: TestBridge; other: TestBridge; ports: number[] }> {
  const nats = await startNats();
  const one = await startBridge({ nats, config: ATTENDED });
  const other = await startBridge({ nats, config: ATTENDED });
  await acquainted([one, other]);
  return { nats, one, other, ports: [one.httpPort, other.httpPort] };
}

describe('presence', () => {
  it('is the same on two instances, told in the stream, and returns to zero', async () => {
    const { one, other, ports } = await two();
    const ada = await attend(one, 'room-1', 'ada', { name: 'Ada', secret: 'x' });
    expect(await toldUntil(ada, 'join ada')).toEqual(['join ada']);
    const streams = [await attend(other, 'room-1', 'bob'), await attend(one, 'room-1', 'bob')];
    await agree(ports, 'room-1', ['ada', 'bob']);
    await poll('both streams of one user', async () => {
      const { members } = await membersOf(other.httpPort, 'room-1');
      return members[0]?.claims !== undefined && members[1]?.connections === 2;
    });
    const { members } = await membersOf(other.httpPort, 'room-1');
    expect(members[0]).toMatchObject({ user: 'ada', connections: 1, claims: { name: 'Ada' } });
    expect(members[0]?.claims).not.toHaveProperty('secret');
    for (const stream of streams) stream.destroy();
    expect(await toldUntil(ada, 'leave bob')).toEqual(['join bob', 'leave bob']);
    ada.destroy();
    await agree(ports, 'room-1', []);
    expect(await one.sample('sidestream_presence_members')).toBe(0);
    expect(await other.sample('sidestream_presence_members')).toBe(0);
  });

  it('says nothing of who reconnects in time, to another instance too', async () => {
    const { one, other, ports } = await two();
    const watcher = await attend(one, 'room-1', 'ada');
    const bob = await attend(one, 'room-1', 'bob');
    await agree(ports, 'room-1', ['ada', 'bob']);
    bob.destroy();
    await poll('bob to be away', async () => {
      const { members } = await membersOf(other.httpPort, 'room-1');
      return members[1]?.connections === 0;
    });
    await attend(other, 'room-1', 'bob');
    // Who leaves only now has left after bob would have.
    const eve = await attend(one, 'room-1', 'eve');
    eve.destroy();
    const told = await toldUntil(watcher, 'leave eve');
    expect(told.filter((line) => line.endsWith('bob'))).toEqual(['join bob']);
    await agree(ports, 'room-1', ['ada', 'bob']);
  });

  it('has whoever reads as NDJSON, and whoever polls, between two polls too', async () => {
    const { one, other, ports } = await two();
    const headers = async (sub: string) => bearer(await signed({ sub })).headers;
    const controller = new AbortController();
    const lines = await fetch(`http://127.0.0.1:${one.httpPort}/events/room-1`, {
      headers: { Accept: 'application/x-ndjson', ...(await headers('ndjson')) },
      signal: controller.signal,
    });
    expect(lines.status).toBe(200);
    const polling = { headers: await headers('poll') };
    const first = await longPoll(other, '/events/hall-1', '', polling);
    const { answer } = await waitingPoll(other, '/events/hall-1?wait=1s', first.body.cursor, polling);
    await agree(ports, 'hall-1', ['poll']);
    await answer;
    await agree(ports, 'room-1', ['ndjson']);
    controller.abort();
    await agree(ports, 'room-1', []);
    await agree(ports, 'hall-1', ['poll']);
  });

  it('has a stream without a token by its id', async () => {
    const nats = await startNats();
    const open = { open: { channel: 'open', subject: 'open', access: 'public', presence: true } };
    const bridge = await startBridge({ nats, config: { channels: open } });
    const client = await NdjsonClient.open(bridge, '/events/open');
    const idOf = async (of: NdjsonClient) => {
      const greeting = () => of.objects.find(({ event }) => event === 'sidestream.open');
      await of.saw('its greeting', () => greeting() !== undefined);
      return String(JSON.parse(greeting()?.data ?? '').connection);
    };
    const first = await idOf(client);
    // Its own join may have been told before it was greeted; that of another is not.
    const second = await idOf(await NdjsonClient.open(bridge, '/events/open'));
    await client.saw('the join of another', () =>
      client.objects.some(({ event, data = '' }) => event === 'sidestream.join' && data.includes(second)),
    );
    const answer = await fetch(`http://127.0.0.1:${bridge.httpPort}/events/open/presence`);
    const members = [first, second].sort().map((id) => ({ id }));
    expect(await answer.json()).toMatchObject({ count: 2, members });
  });

  it('is refused as the page says', async () => {
    const nats = await startNats();
    const bridge = await startBridge({ nats, config: ATTENDED });
    const asked = async (channel: string, options: Parameters<typeof membersOf>[2] = {}) => {
      const { status, error } = await membersOf(bridge.httpPort, channel, options);
      return `${status} ${error?.code ?? ''}`;
    };
    const anonymous = await fetch(`http://127.0.0.1:${bridge.httpPort}/events/room-1/presence`);
    expect(anonymous.status).toBe(401);
    expect(await asked('own-1', { user: '1' })).toBe('200 ');
    expect(await asked('own-1', { user: '2' })).toBe('403 CHANNEL_FORBIDDEN');
    expect(await asked('bare-1')).toBe('404 NOT_FOUND');
    expect(await asked('staff-1')).toBe('404 NOT_FOUND');
    expect(await asked('nowhere')).toBe('404 CHANNEL_UNKNOWN');
    expect(await asked('a*b')).toBe('400 CHANNEL_MALFORMED');
    for (const limit of ['0', '1001', '1.5', 'x', ''])
      expect(await asked('room-1', { query: `limit=${limit}` })).toBe('400 PRESENCE_INVALID');
    expect(await asked('room-1', { method: 'POST' })).toBe('405 METHOD_NOT_ALLOWED');
    await attend(bridge, 'staff-1', 'ada');
    expect(await call(bridge, 'presence', { channel: 'staff-1' })).toMatchObject({ count: 1 });
    expect(await refusal(bridge, 'presence', { channel: 'bare-1' })).toBe('NOT_PERMITTED');
    expect(await refusal(bridge, 'presence', { channel: 'nowhere' })).toBe('CHANNEL_NOT_FOUND');
    expect(await refusal(bridge, 'presence', { channel: 'room-1', limit: 0 })).toBe('CONTROL_INVALID');
  });
});
