import { describe, expect, it } from 'vitest';
import { type Respond, startBackend } from '../auth/backend.ts';
import { startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { AUTH, answerTo, signed } from './protected.ts';

const CHANNELS = {
  news: { channel: 'news', subject: 'news', access: 'public' },
  mine: { channel: 'user-{id}', subject: 'user.{id}', access: { where: { id: '{claims.sub}' } } },
  rooms: { channel: 'room-{id}', subject: 'room.{id}', access: { callout: 'may.listen' } },
};

/** Every way for a token to come, and every answer it may get. */
async function bringAll(bridge: Awaited<ReturnType<typeof startBridge>>, tokens: readonly string[]) {
  const answers: string[] = [];
  const shown: string[] = [];
  for (const token of tokens) {
    for (const target of [
      '/events/news',
      '/events/user-42',
      '/events/user-43',
      '/events/room-1',
      '/nowhere',
    ]) {
      for (const [query, headers] of [
        [`?access_token=${token}`, {}],
        ['', { Authorization: `Bearer ${token}` }],
        ['', { Cookie: `session=${token}` }],
      ] as const) {
        answers.push(await answerTo(bridge, target + query, { headers }));
        const response = await bridge.request(target + query, { headers });
        if (response.status !== 200) await response.ended();
        shown.push(JSON.stringify(response.head), response.body);
        response.destroy();
      }
    }
  }
  return { answers: new Set(answers), shown: shown.join('\n') };
}

describe('a token', () => {
  it.each<[string, Respond]>([
    ['allows', (msg) => void msg.respond('{"allow":true}')],
    ['denies', (msg) => void msg.respond('{"allow":false}')],
    ['talks nonsense', (msg) => void msg.respond(msg.data)],
  ])(
    'stands in no log line, metric or answer, whatever comes of it, where the backend %s',
    async (_, respond) => {
      const nats = await startNats();
      await startBackend(nats, 'may.listen', respond);
      const token = [...AUTH.token, 'query:access_token'];
      const bridge = await startBridge({ nats, config: { channels: CHANNELS, auth: { ...AUTH, token } } });
      const good = await signed({ name: 'sesame-in-a-claim' });
      const bad = [`${good.slice(0, -4)}AAAA`, 'opaque-sesame', await signed({ exp: 1, name: 'sesame' })];
      const { answers, shown } = await bringAll(bridge, [good, ...bad]);
      expect([...answers].some((answer) => answer.startsWith('200'))).toBe(true);
      expect([...answers].some((answer) => answer.startsWith('401'))).toBe(true);
      const metrics = await (await fetch(`${bridge.opsUrl}/metrics`)).text();
      const written = [JSON.stringify(bridge.logs), metrics, shown].join('\n');
      expect(bridge.logs.some(({ level }) => level === 'debug')).toBe(true);
      for (const secret of [good, ...bad].flatMap((each) => each.split('.')))
        expect(written).not.toContain(secret);
      expect(written).not.toMatch(/sesame|access_token/);
    },
  );
});
