import type { Msg } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { startBackend } from '../auth/backend.ts';
import { answerJson, startIntrospection } from '../auth/introspection-server.ts';
import { answerTo, bearer } from '../integration/protected.ts';
import { startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { PARENT } from './sdk.ts';

const TRACE = { traceparent: PARENT, tracestate: 'a=1' };

async function start(auth: Readonly<Record<string, unknown>>) {
  const nats = await startNats();
  const channels = {
    mine: { channel: 'user-{id}', subject: 'user.{id}', access: { where: { id: '{claims.sub}' } } },
    asked: { channel: 'asked.{x}', subject: 'asked.{x}', access: { callout: 'may.they' } },
  };
  return { nats, bridge: await startBridge({ nats, config: { channels, auth } }) };
}

const withTrace = (token: string, trace: Readonly<Record<string, string>>) => ({
  headers: { ...bearer(token).headers, ...trace },
});
const traceOf = ({ headers }: Pick<Msg, 'headers'>) =>
  ['traceparent', 'tracestate'].map((name) => headers?.get(name) ?? '');

describe('who is asked about a request is told its trace', () => {
  it('by the introspection in headers, and nothing where it is malformed', async () => {
    const server = await startIntrospection((res) => answerJson(res, { active: true, sub: '42' }));
    const { bridge } = await start({ introspection: { url: server.url } });
    expect(await answerTo(bridge, '/events/user-42', withTrace('a', TRACE))).toBe('200');
    const malformed = { ...TRACE, traceparent: `${PARENT}0` };
    expect(await answerTo(bridge, '/events/user-42', withTrace('b', malformed))).toBe('200');
    const told = server.asked.map(({ headers: { traceparent, tracestate } }) => [traceparent, tracestate]);
    expect(told).toEqual([
      [PARENT, 'a=1'],
      [undefined, undefined],
    ]);
  });

  it('by callouts, for tokens and for channels, in headers of NATS', async () => {
    const { nats, bridge } = await start({ callout: { subject: 'who.is' } });
    const told: string[][] = [];
    const answer = (text: string) => (message: Msg) => {
      told.push(traceOf(message));
      message.respond(text);
    };
    await startBackend(nats, 'who.is', answer('{"claims":{"sub":"42"}}'));
    await startBackend(nats, 'may.they', answer('{"allow":true}'));
    expect(await answerTo(bridge, '/events/asked.1', withTrace('a', TRACE))).toBe('200');
    expect(await answerTo(bridge, '/events/asked.1', withTrace('b', {}))).toBe('200');
    expect(told).toEqual([
      [PARENT, 'a=1'],
      [PARENT, 'a=1'],
      ['', ''],
      ['', ''],
    ]);
  });
});
