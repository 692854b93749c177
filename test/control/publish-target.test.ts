import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ChannelState } from '../../src/control/channels/channel-book.ts';
import { ControlError } from '../../src/control/operation.ts';
import { message } from '../../src/control/operations/publishing.ts';
import { targetOf } from '../../src/control/publish/publish-target.ts';
import { Router } from '../../src/routing/router.ts';
import { routeConfig } from '../support/route.ts';

const ofUser = (param: string) => ({ kind: 'where', where: { [param]: 'sub' } }) as const;
const ROUTES = {
  chat: routeConfig({ channel: 'chat.{room}', subject: 'c.{room}' }),
  echo: routeConfig({ channel: 'echo.{room}', subject: 'c.{room}' }),
  orders: routeConfig({ channel: 'orders.{shop}', subject: 'orders.*.{shop}.>' }),
  kv: routeConfig({ channel: 'kv.{k}', subject: '$KV.b.{k}', source: { kind: 'kv', bucket: 'b' } }),
  mine: routeConfig({ channel: 'mine.{id}', subject: 'n.{id}', access: [ofUser('id')] }),
  teams: routeConfig({ channel: 'team.{id}.{t}', subject: 't.{id}.{t}', access: [ofUser('id')] }),
  any: routeConfig({ channel: 'any.{first}', subject: '{first}.>' }),
};

function target(fields: Record<string, unknown>, states: Record<string, ChannelState> = {}, routes = ROUTES) {
  const addressing = {
    router: new Router(routes),
    prefix: 'sidestream',
    channelState: ({ channel }: { channel: string }) => states[channel] ?? 'open',
  };
  try {
    const found = targetOf(message.parse({ data: '', ...fields }), addressing);
    return found === undefined ? undefined : `${found.destination.channel} ${found.subject}`;
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    return error.code;
  }
}

describe('a message for a channel', () => {
  it('goes by the subject of its route, with a filler for what the channel does not name', () => {
    expect(target({ channel: 'chat.a' })).toBe('chat.a c.a');
    expect(target({ channel: 'orders.x' })).toBe('orders.x orders.api.x.api');
    expect(target({ channel: 'kv.a' })).toBe('kv.a $KV.b.a');
  });

  it('always comes back to that channel', () => {
    const name = fc.stringMatching(/^(chat|orders|mine|kv)\.[A-Za-z0-9_:~-]{1,20}$/);
    fc.assert(
      fc.property(name, (channel) => {
        const found = target({ channel });
        const again = target({ subject: found?.split(' ')[1] });
        expect([channel, channel.replace('chat', 'echo')]).toContain(again?.split(' ')[0]);
      }),
    );
  });

  it('cannot be one of the control plane, or of NATS itself', () => {
    expect(target({ channel: 'any.sidestream' })).toBe('NOT_PERMITTED');
    expect(target({ channel: 'any._INBOX' })).toBe('CHANNEL_NOT_FOUND');
    expect(target({ subject: 'sidestream.control.revoke' })).toBe('NOT_PERMITTED');
    expect(target({ subject: 'sidestreams.control.revoke' })).toBe(
      'any.sidestreams sidestreams.control.revoke',
    );
    expect(target({ subject: '$JS.API.x' })).toBe('NOT_PERMITTED');
    expect(target({ subject: '$KV.other.x' })).toBe('NOT_PERMITTED');
    const all = { all: routeConfig({ channel: 'all.{x}', subject: '{x}' }) };
    expect(target({ subject: 'sidestream' }, {}, all as unknown as typeof ROUTES)).toBe('NOT_PERMITTED');
    const under = { under: routeConfig({ channel: 'under.{x}', subject: '_u.{x}' }) };
    expect(target({ channel: 'under.a' }, {}, under as unknown as typeof ROUTES)).toBe('NOT_PERMITTED');
  });

  it('goes nowhere where the channel is not there', () => {
    const codeOf = (state: ChannelState) => target({ channel: 'chat.a' }, { 'chat.a': state });
    expect(codeOf('closed')).toBe('CHANNEL_CLOSED');
    expect(codeOf('unknown')).toBe('CHANNEL_NOT_FOUND');
    expect(codeOf('loading')).toBe('CONTROL_UNAVAILABLE');
  });
});

describe('a message for a subject', () => {
  it('goes to the first channel that it feeds and that is open', () => {
    expect(target({ subject: 'c.a' })).toBe('chat.a c.a');
    expect(target({ subject: 'c.a' }, { 'chat.a': 'closed' })).toBe('echo.a c.a');
    const all = { 'chat.a': 'closed', 'echo.a': 'closed', 'any.c': 'closed' } as const;
    expect(target({ subject: 'c.a' }, all)).toBe('CHANNEL_CLOSED');
  });
});

describe('a message for a user', () => {
  it('goes to the channel that is theirs alone', () => {
    expect(target({ user: '42' })).toBe('mine.42 n.42');
    expect(target({ user: '42', route: 'mine' })).toBe('mine.42 n.42');
    expect(target({ user: '42', route: 'teams' })).toBe('CHANNEL_NOT_FOUND');
    expect(target({ user: '42', route: 'nowhere' })).toBe('CONTROL_INVALID');
    const admin = routeConfig({ channel: 'mine.admin', subject: 'admins.own' });
    expect(target({ user: 'admin' }, {}, { admin, ...ROUTES } as typeof ROUTES)).toBe('CHANNEL_NOT_FOUND');
    for (const user of ['a.b', 'a b', '*', '>', 'x/y']) expect(target({ user })).toBe('CHANNEL_NOT_FOUND');
  });

  it('must say which route, where several have such channels, and is for streams where none has', () => {
    const two = {
      ...ROUTES,
      yours: routeConfig({ channel: 'y.{id}', subject: 'y.{id}', access: [ofUser('id')] }),
    };
    expect(target({ user: '42' }, {}, two)).toBe('CONTROL_INVALID');
    expect(target({ user: '42', route: 'yours' }, {}, two)).toBe('y.42 y.42');
    const { mine: _, ...none } = ROUTES;
    expect(target({ user: '42' }, {}, none as typeof ROUTES)).toBeUndefined();
  });
});
