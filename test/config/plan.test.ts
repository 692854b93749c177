import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { planOf } from '../../src/config/plan.ts';

const CHANNELS = { news: { channel: 'news', subject: 'news', access: 'public' } };
const INBOX = {
  channel: 'user-{id}',
  subject: 'users.{id}',
  stream: 'USERS',
  access: { where: { id: '{claims.sub}' } },
  inbox: true,
};
const KEY = { secret: 'a secret of more than thirty-two bytes for tests' };
const JWT = { algorithms: ['HS256'], keys: [KEY] };

const parse = (given: object) =>
  parseConfig(JSON.stringify({ channels: CHANNELS, ...given }), 'test.yaml', {}).config;

/** What becomes of `next` in a process that was started with `started` and goes by `running` now. */
const plan = (started: object, next: object, running = started) =>
  planOf({ started: parse(started), running: parse(running) }, parse(next));

describe('a config that has changed', () => {
  it('where nothing has, changes nothing', () => {
    const { config, ...rest } = plan({}, {});
    expect(rest).toEqual({ restart: [], changed: [] });
    expect(config).toEqual(parse({}));
  });

  it('names the sections and the routes that change', () => {
    const more = { ...CHANNELS, more: { ...CHANNELS.news, channel: 'more', subject: 'more' } };
    const { changed, restart } = plan(
      {},
      { channels: more, limits: { connections: 5 }, log: { level: 'warn' } },
    );
    expect([...changed].sort()).toEqual(['channels.more', 'limits', 'log']);
    expect(restart).toEqual([]);
    expect(plan({ channels: more }, {}).changed).toEqual(['channels.more']);
  });

  it.each([
    ['http.listen', { http: { listen: ':1' } }],
    ['ops.listen', { ops: { listen: ':1' } }],
    ['nats', { nats: { servers: ['nats://other:4222'] } }],
    ['sse.control', { sse: { control: false } }],
    ['limits.requestHeaders', { limits: { requestHeaders: '32KiB' } }],
    ['control', { control: { prefix: 'other' } }],
    ['workers', { workers: 2 }],
    ['log.format', { log: { format: 'text' } }],
  ])('needs a restart for %s, and is otherwise as it says', (key, next) => {
    const { config, restart, changed } = plan({}, { ...next, drain: { timeout: '7s' } });
    expect(restart).toEqual([key]);
    expect(changed).toEqual(['drain']);
    expect(config).toEqual(parse({ drain: { timeout: '7s' } }));
  });

  it('keeps to the tokens of before where none were checked, or tickets are to be good for longer', () => {
    expect(plan({}, { auth: { jwt: JWT, token: ['cookie:x'] } })).toMatchObject({
      restart: ['auth.jwt'],
      config: { auth: { jwt: [], token: [{ in: 'cookie', name: 'x' }] } },
    });
    const ticket = (maxAge: string) => ({ auth: { jwt: { ...JWT, ticket: { maxAge } } } });
    expect(plan({ auth: { jwt: JWT } }, ticket('30s')).restart).toEqual(['auth.jwt']);
    expect(plan(ticket('30s'), ticket('40s'))).toMatchObject({
      restart: ['auth.jwt'],
      config: { auth: { jwt: [{ ticket: { maxAgeMs: 30_000 } }] } },
    });
    expect(plan(ticket('30s'), ticket('20s')).restart).toEqual([]);
    // They may go and come back.
    expect(plan(ticket('30s'), ticket('30s'), { auth: { jwt: JWT } }).restart).toEqual([]);
    expect(plan({ auth: { jwt: JWT } }, {}).restart).toEqual([]);
  });

  it('has presence and inboxes only where some route had them at the start', () => {
    const present = { channels: { news: { ...CHANNELS.news, presence: true } } };
    const { config, restart } = plan({}, present);
    expect([restart, config.channels.news?.presence]).toEqual([['channels.news.presence'], undefined]);
    expect(plan(present, present, {}).restart).toEqual([]);
    expect(
      plan({ control: { events: ['occupied'] } }, { ...present, control: { events: ['occupied'] } }).restart,
    ).toEqual([]);
    const auth = { jwt: JWT };
    const inbox = { auth, channels: { ...CHANNELS, mine: INBOX } };
    expect(plan({ auth }, inbox)).toMatchObject({
      restart: ['channels.mine.inbox'],
      config: { channels: { mine: { inbox: false } } },
    });
    expect(plan(inbox, inbox, { auth }).restart).toEqual([]);
  });
});
