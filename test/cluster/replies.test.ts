import { expect, it } from 'vitest';
import { Replies } from '../../src/cluster/replies.ts';
import { createLog } from '../../src/log.ts';
import { Router } from '../../src/routing/router.ts';
import { ManualClock } from '../support/clock.ts';
import { routeConfig } from '../support/route.ts';

function setUp(channel: string, subject: string) {
  const lines: string[] = [];
  const log = createLog({ level: 'info', format: 'json' }, { write: (line) => lines.push(line) });
  const { routes } = new Router({ one: routeConfig({ channel, subject }) });
  return { lines, replies: new Replies({ prefix: 'side.stream', routes, log, clock: new ManualClock() }) };
}

it('answers go to inboxes, and not where NATS, instances or browsers listen', () => {
  const { replies, lines } = setUp('chat.{room}', 'chat.{room}');
  for (const subject of [undefined, '', '_INBOX.a.b', '_R_.x', 'mine.inbox.1', 'chats.a', 'side.streams.x'])
    expect(replies.accepts(subject)).toBe(true);
  expect(lines).toEqual([]);
  for (const subject of ['$JS.API.STREAM.PURGE.S', '$KV.b.k', '$SRV.PING', 'side.stream.control.x', 'chat.a'])
    expect(replies.accepts(subject)).toBe(false);
  expect(lines.length).toBe(1);
});

it('answers go to inboxes also where a route takes every subject', () => {
  const { replies } = setUp('any.{first}', '{first}.>');
  expect([replies.accepts('_INBOX.a.b'), replies.accepts('x.y')]).toEqual([true, false]);
});
