import { expect, it } from 'vitest';
import { startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';

const config = {
  sse: { retry: '100ms..200ms' },
  channels: {
    room: {
      channel: 'room-{id}',
      subject: 'rooms.{id}',
      access: 'public',
      presence: { leaveAfter: '1s' },
    },
  },
};

it('is the same on two instances, told in the stream, and returns to zero', async () => {
  const nats = await startNats();
  const [one, two] = [await startBridge({ nats, config }), await startBridge({ nats, config })];
  const count = async (bridge: typeof one) => {
    const answer = await fetch(`http://127.0.0.1:${bridge.httpPort}/events/room-1/presence`);
    const page = (await answer.json()) as { readonly count: number };
    return page.count;
  };
  const reader = await one.stream('/events/room-1');
  const other = await two.stream('/events/room-1');
  await poll('both on one', async () => (await count(one)) === 2);
  await poll('both on two', async () => (await count(two)) === 2);
  // Its own and the other's, in one event or in two.
  let joined = await reader.next('sidestream.join');
  if (JSON.parse(joined.data).count === 1) joined = await reader.next('sidestream.join');
  expect(JSON.parse(joined.data)).toMatchObject({ channel: 'room-1', count: 2 });
  other.destroy();
  const left = await reader.next('sidestream.leave');
  expect(JSON.parse(left.data)).toMatchObject({ channel: 'room-1', count: 1 });
  await two.stop();
  reader.destroy();
  await poll('nobody', async () => (await count(one)) === 0);
});
