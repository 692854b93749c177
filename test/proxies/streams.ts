import { describe, expect, it } from 'vitest';
import { zstd } from '../../src/protocol/zstd.ts';
import { bearer, signed } from '../integration/protected.ts';
import { poll } from '../support/poll.ts';
import { startScene } from './bridges.ts';
import { type Ask, ask } from './client.ts';
import { missing, type ProxyKind } from './proxy.ts';

const NDJSON = { Accept: 'application/x-ndjson' };
const WAYS: readonly (Ask & { readonly way: string })[] = [
  { way: 'HTTP/1.1', protocol: 'http/1.1' },
  { way: 'HTTP/1.1, gzip', protocol: 'http/1.1', headers: { 'Accept-Encoding': 'gzip' } },
  { way: 'HTTP/2' },
  { way: 'HTTP/2, gzip', headers: { 'Accept-Encoding': 'gzip' } },
  ...(zstd === undefined ? [] : [{ way: 'HTTP/2, zstd', headers: { 'Accept-Encoding': 'zstd' } }]),
  { way: 'HTTP/2, NDJSON', headers: NDJSON },
  { way: 'HTTP/2, NDJSON, gzip', headers: { ...NDJSON, 'Accept-Encoding': 'gzip' } },
];
const COMPRESSION = { compression: zstd === undefined ? ['gzip'] : ['zstd', 'gzip'] };

/** Above what is sent as it is: below 200 bytes nothing is compressed. */
const LONG = 'a longer event '.repeat(40);
const MIB = 1024 * 1024;

/** That streams pass through a proxy as they would without it. */
export function streamsPass(proxy: ProxyKind): void {
  describe.skipIf(missing(proxy) !== undefined)(`streams behind ${proxy.name}`, () => {
    it('pass event by event: none waits for the next, over either HTTP, compressed or not', async () => {
      const { proxy: running, publisher } = await startScene(proxy, { config: { sse: COMPRESSION } });
      for (const { way, ...options } of WAYS) {
        const answer = await ask(running, '/events/prices.ACME', options);
        expect([way, answer.headers['content-encoding']]).toEqual([
          way,
          options.headers?.['Accept-Encoding'],
        ]);
        await answer.next('sidestream.open');
        for (const data of ['1', LONG, '3', LONG]) {
          await publisher.publish('prices.ACME', data);
          expect(await answer.next('price')).toMatchObject({ data });
        }
        answer.leave();
      }
    });

    it('outlive the idle time-outs on the way by their heartbeats, and only by them', async () => {
      const also = proxy.idle.map((written) => [written, written.replace('75s', '2s')] as const);
      const kept = await startScene(proxy, { config: { sse: { heartbeat: '1s' } }, also });
      const beating = await ask(kept.proxy, '/events/prices.ACME');
      await beating.next('sidestream.open');
      if (proxy.idle.length > 0) {
        const quiet = await startScene(proxy, { config: { sse: { heartbeat: '1h' } }, also });
        const silent = await ask(quiet.proxy, '/events/prices.ACME');
        await silent.next('sidestream.open');
        expect(await silent.ended()).toBe(proxy.tellsCuts ? 'cut' : 'ended');
      }
      await poll('more heartbeats than fit into the time-out', () => beating.comments >= 3);
      await kept.publisher.publish('prices.ACME', 'still there');
      expect(await beating.next('price')).toMatchObject({ data: 'still there' });
    });

    it('are counted by the address that the client comes from, whatever it says of itself', async () => {
      const { proxy: running } = await startScene(proxy, { config: { limits: { connectionsPerIp: 2 } } });
      const headers = { 'X-Forwarded-For': '203.0.113.9', Forwarded: 'for=203.0.113.9' };
      const open = (from: string) =>
        ask(running, '/events/prices.ACME?errors=http', { from, headers, protocol: 'http/1.1' });
      // Two bridges, of which each counts for itself: four streams at most.
      const answers = await Promise.all(Array.from({ length: 5 }, () => open('127.0.0.7')));
      expect(answers.map(({ status }) => status)).toContain(429);
      expect((await open('127.0.0.8')).status).toBe(200);
    });

    it('are gone at the bridge as soon as the browser is', async () => {
      const { proxy: running, bridges } = await startScene(proxy);
      const open = () => bridges.reduce((sum, { metrics }) => sum + metrics.connections, 0);
      for (const options of [{}, { protocol: 'http/1.1' } as const, { headers: NDJSON }]) {
        const answer = await ask(running, '/events/prices.ACME', options);
        await answer.next('sidestream.open');
        expect(open()).toBe(1);
        answer.leave();
        await poll('the bridge to notice', () => open() === 0);
      }
    });

    it('carry events of a megabyte whole and in order', async () => {
      const { proxy: running, publisher } = await startScene(proxy);
      for (const protocol of ['h2', 'http/1.1'] as const) {
        const answer = await ask(running, '/events/prices.ACME', { protocol });
        await answer.next('sidestream.open');
        const payloads = ['a', 'b', 'c'].map((letter) => letter.repeat(MIB - 1024));
        for (const payload of payloads) await publisher.publish('prices.ACME', payload);
        for (const payload of payloads) {
          const { data } = await answer.next('price');
          expect(data === payload, `the ${payload[0]}s`).toBe(true);
        }
        answer.leave();
      }
    });

    it('of a reader who takes nothing fill the proxy only so far: the bridge notices, and ends that one alone', async () => {
      const limits = { stalled: '500ms', pending: '512KiB' };
      const { proxy: running, bridges, publisher } = await startScene(proxy, { config: { limits } });
      const slow = await ask(running, '/events/prices.ACME', { protocol: 'http/1.1' });
      await slow.next('sidestream.open');
      slow.pause();
      const quick = await ask(running, '/events/prices.ACME', { protocol: 'http/1.1' });
      await quick.next('sidestream.open');
      const ended = () => bridges.reduce((sum, b) => sum + (b.metrics.connectionsClosed.get('slow') ?? 0), 0);
      let published = 0;
      // What the kernels take between the three is theirs to say: some megabytes for each line.
      await poll('the slow one to be ended', async () => {
        if (published < 64) {
          await publisher.publish('prices.ACME', 'x'.repeat(MIB / 2));
          await quick.next('price');
        }
        published += 1;
        return ended() === 1;
      });
      await publisher.publish('prices.ACME', 'after');
      expect(await quick.next('price')).toMatchObject({ data: 'after' });
    });

    it('pass a long poll that waits, and what stands beside a stream: preflights and an inbox', async () => {
      const config = { http: { cors: { origins: ['https://app.example.com'], credentials: true } } };
      const { proxy: running, publisher } = await startScene(proxy, { config });
      const headers = { Accept: 'application/json' };
      const first = await ask(running, '/events/orders.7', { headers });
      await first.ended();
      const { cursor } = JSON.parse(first.text);
      const waiting = ask(running, `/events/orders.7?wait=20s&lastEventId=${cursor}`, { headers });
      await publisher.publish('orders.7', 'one');
      const second = await waiting;
      await second.ended();
      expect(JSON.parse(second.text).events).toMatchObject([{ event: 'order', data: 'one' }]);

      const preflight = await ask(running, '/events/user-42/inbox', {
        method: 'OPTIONS',
        headers: { Origin: 'https://app.example.com', 'Access-Control-Request-Method': 'POST' },
      });
      expect(preflight.status).toBe(204);
      expect(preflight.headers['access-control-allow-origin']).toBe('https://app.example.com');
      const { headers: authorization } = bearer(await signed({ sub: '42' }));
      const marked = await ask(running, '/events/user-42/inbox', {
        method: 'POST',
        headers: { ...authorization, 'Content-Type': 'application/json', Accept: 'application/json' },
        body: '{"read":{"all":true}}',
      });
      await marked.ended();
      expect([marked.status, JSON.parse(marked.text)]).toMatchObject([200, { unread: 0 }]);
    });
  });
}
