import type { FileConfig, TestBridge } from '../support/bridge.ts';
import { poll } from '../support/poll.ts';
import type { StreamClient } from '../support/stream-client.ts';
import { AUTH, bearer, signed } from './protected.ts';

const route = (name: string, presence?: object) => ({
  channel: `${name}-{id}`,
  subject: `${name}.{id}`,
  access: 'authenticated',
  ...(presence !== undefined && { presence }),
});

/** From `hall-1` nobody ever leaves while a test runs; from `room-1` after a second. */
export const ATTENDED: FileConfig = {
  sse: { retry: '100ms..200ms' },
  auth: AUTH,
  channels: {
    hall: route('hall', { leaveAfter: '1h' }),
    room: route('room', { leaveAfter: '1s', claims: ['name', 'place'] }),
    staff: route('staff', { access: 'control' }),
    own: { ...route('own', {}), access: { where: { id: '{claims.sub}' } } },
    bare: route('bare'),
  },
};

export interface MembersPage {
  readonly count: number;
  readonly members: readonly {
    readonly user?: string;
    readonly id?: string;
    readonly connections: number;
    readonly claims?: object;
  }[];
  readonly next?: string;
  readonly error?: { readonly code: string };
}

/** What whoever has a port and a token gets from `GET …/presence`. */
export async function membersOf(
  httpPort: number,
  channel: string,
  { query = '', user = 'reader', ...init }: { query?: string; user?: string; method?: string } = {},
): Promise<MembersPage & { readonly status: number }> {
  const url = `http://127.0.0.1:${httpPort}/events/${channel}/presence?${query}`;
  const answer = await fetch(url, { ...init, ...bearer(await signed({ sub: user })) });
  return { status: answer.status, ...((await answer.json()) as MembersPage) };
}

/** Opens a stream of a user. */
export async function attend(
  bridge: Pick<TestBridge, 'stream'>,
  channel: string,
  user: string,
  claims: object = {},
): Promise<StreamClient> {
  return bridge.stream(`/events/${channel}`, bearer(await signed({ sub: user, ...claims })));
}

/** Waits until each of these ports tells exactly these users. */
export async function agree(
  ports: readonly number[],
  channel: string,
  users: readonly string[],
): Promise<void> {
  const expected = [...users].sort().join();
  for (const port of ports)
    await poll(`${expected || 'nobody'} on ${channel}`, async () => {
      const { count, members } = await membersOf(port, channel);
      return count === users.length && members.map(({ user }) => user).join() === expected;
    });
}

/** What a stream was told until somebody's `event` came, that included: `join 42`, `leave 7`. */
export async function toldUntil(stream: StreamClient, event: string): Promise<string[]> {
  const told: string[] = [];
  await stream.until(({ event: name, data }) => {
    if (!/^sidestream\.(join|leave)$/.test(name)) return false;
    for (const { user } of JSON.parse(data).members) told.push(`${name.replace('sidestream.', '')} ${user}`);
    return told.includes(event);
  });
  return told;
}
