import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { jetstream } from '@nats-io/jetstream';
import { describe, expect, it, onTestFinished } from 'vitest';
import { poll } from '../support/poll.ts';
import type { Publisher } from '../support/publisher.ts';
import { type BridgeProcess, startProcesses, startScene } from './bridges.ts';
import { ask } from './client.ts';
import { missing, type ProxyKind, type RunningProxy } from './proxy.ts';
import { type Returning, startReturning } from './returning.ts';

const PACE_MS = 10;
const IN_BAND = { Origin: 'https://app.example.com' };
/** So many that with some of them the proxy is still writing. */
const CUT_OFF = 40;

/** Publishes 1, 2, 3 and so on into a stream, until it is stopped. */
class Counting {
  published = 0;
  #stopped = false;
  readonly #running: Promise<void>;

  constructor({ connection }: Publisher) {
    this.#running = this.#run(jetstream(connection));
    onTestFinished(async () => void (await this.stop()));
  }

  /** @returns how many there were */
  async stop(): Promise<number> {
    this.#stopped = true;
    await this.#running;
    return this.published;
  }

  async #run(stream: ReturnType<typeof jetstream>): Promise<void> {
    while (!this.#stopped) {
      await stream.publish('orders.7', `${this.published + 1}`);
      this.published += 1;
      await sleep(PACE_MS);
    }
  }
}

const numbers = (count: number) => Array.from({ length: count }, (_, i) => `${i + 1}`);

/** Waits until the proxy sends new streams to a bridge again: it has the fewest. */
async function backInRotation(proxy: RunningProxy, bridge: BridgeProcess): Promise<void> {
  await poll('the proxy to send it streams again', async () => {
    const answer = await ask(proxy, '/events/prices.ACME').catch(() => undefined);
    const event = answer?.status === 200 ? await answer.next().catch(() => undefined) : undefined;
    const open = event?.event === 'sidestream.open' && (await bridge.connections()) > 0;
    answer?.leave();
    return open;
  });
}

/** Each has all of them, once and in order, and none was given a final answer. */
async function expectAll(clients: readonly Returning[], count: number): Promise<void> {
  for (const client of clients) {
    await client.has(count);
    expect(client.finalStatus).toBe(undefined);
    expect(client.seen).toEqual(numbers(count));
    expect(client.verdicts.slice(1).filter((verdict) => verdict !== 'recovered')).toEqual([]);
  }
}

/** That what happens to bridges, and what strangers do, harms no stream behind a proxy. */
export function troubleIsSurvived(proxy: ProxyKind): void {
  const also = proxy.hurried;

  describe.skipIf(missing(proxy) !== undefined)(`trouble behind ${proxy.name}`, () => {
    it('stop one bridge after the other: every stream is told, comes back to the other, and misses nothing', async () => {
      const { proxy: running, bridges, publisher } = await startProcesses(proxy, { also });
      const clients = Array.from({ length: 4 }, () => startReturning(running, '/events/orders.7'));
      await poll('all to be there', () => clients.every(({ opens }) => opens > 0));
      const counting = new Counting(publisher);
      const told = () => clients.flatMap(({ closes }) => closes.filter((why) => why === 'draining')).length;
      for (const bridge of bridges) {
        // By chance it may have none: a proxy that compares two bridges drawn at random may draw the same one twice.
        const toTell = told() + (await bridge.connections());
        await bridge.stop();
        await poll('all of its streams to have been told', () => told() >= toTell);
        await bridge.start();
        await backInRotation(running, bridge);
      }
      await expectAll(clients, await counting.stop());
      for (const { closes, cuts } of clients) {
        expect(closes).toContain('draining');
        expect(cuts).toBe(0);
      }
    }, 60_000);

    it('kill a bridge: its streams are cut off, not ended in good order, and go on at the other', async () => {
      const { proxy: running, bridges, publisher } = await startProcesses(proxy, { also });
      const clients = Array.from({ length: 4 }, () => startReturning(running, '/events/orders.7'));
      await poll('all to be there', () => clients.every(({ verdicts }) => verdicts.length > 0));
      const counting = new Counting(publisher);
      const [first] = bridges;
      const broken = (await first?.connections()) ?? 0;
      expect(broken).toBeGreaterThan(0);
      await first?.kill();
      // Before any health check: whoever asks now is given to the other bridge, and notices nothing.
      const headers = { Accept: 'application/x-ndjson' };
      const asked = Array.from({ length: 4 }, () => ask(running, '/events/prices.ACME', { headers }));
      expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      await poll(
        'them to have come back',
        () => clients.filter(({ verdicts }) => verdicts.length > 1).length === broken,
      );
      await expectAll(clients, await counting.stop());
      if (proxy.tellsCuts) expect(clients.filter(({ cuts }) => cuts > 0)).toHaveLength(broken);
    }, 60_000);

    it.runIf(proxy.refusesInBand)(
      'stop all bridges: to an EventSource the proxy says "later", to others what it is',
      async () => {
        const { proxy: running, bridges, publisher } = await startProcesses(proxy, { also });
        const client = startReturning(running, '/events/orders.7');
        await poll('it to be there', () => client.verdicts.length === 1);
        await Promise.all(bridges.map((bridge) => bridge.kill()));
        const opens = client.opens;
        await poll('it to have been told "later"', () => client.opens > opens + 1 || client.finalStatus);
        expect(client.finalStatus).toBe(undefined);

        const later = await ask(running, '/events/orders.7', { headers: IN_BAND });
        expect([later.status, later.headers['content-type']]).toEqual([200, 'text/event-stream']);
        expect(later.headers['access-control-allow-origin']).toBe('https://app.example.com');
        expect(await later.ended()).toBe('ended');
        expect(later.retryMs).toBeGreaterThanOrEqual(3000);
        expect(later.retryMs).toBeLessThan(10_000);
        const honest = [{ Accept: 'application/json' }, { Authorization: 'Bearer x' }].map(
          async (headers) => (await ask(running, '/events/orders.7', { headers })).status,
        );
        for (const status of await Promise.all(honest)) expect(status).toBeGreaterThanOrEqual(502);

        // What a proxy complains of it writes elsewhere than what it serves, and most often with the whole URL.
        const secret = 'a-token-of-who-was-not-served';
        await (await ask(running, `/events/orders.unserved?token=${secret}`, { headers: IN_BAND })).ended();
        if (proxy.logs) await poll('the line of the log', () => running.logs.includes('orders.unserved'));
        expect(running.logs).not.toContain(secret);

        await jetstream(publisher.connection).publish('orders.7', '1');
        await Promise.all(bridges.map((bridge) => bridge.start()));
        await expectAll([client], 1);
      },
      60_000,
    );

    it('show strangers nothing but the streams, and write no token into a log', async () => {
      const { proxy: running } = await startScene(proxy);
      for (const path of ['/', '/metrics', '/readyz', '/api/stats', '/eventsx', '/events/../metrics'])
        expect([path, (await ask(running, path)).status]).toEqual([path, 404]);
      const { status, headers } = await fetch(`http://127.0.0.1:${running.plainPort}/events/prices.ACME`, {
        redirect: 'manual',
      });
      expect([301, 308]).toContain(status);
      expect(headers.get('location')).toMatch(/^https:/);

      const secret = 'a-token-in-a-query';
      // Of a name that is written in another way a proxy may have another log.
      for (const Host of ['localhost', `LOCALHOST:${running.tlsPort}`, 'elsewhere.example.com']) {
        const given = { protocol: 'http/1.1', headers: { Host, Accept: 'application/json' } } as const;
        await (await ask(running, `/events/prices.ACME?token=${secret}`, given)).ended();
      }
      const answer = await ask(running, `/events/prices.logged?token=${secret}`);
      await answer.next('sidestream.open');
      answer.leave();
      if (proxy.logs) await poll('the line of the log', () => running.logs.includes('prices.logged'));
      expect(running.logs).not.toContain(secret);
    });

    it('take no bridge from others for the sake of one client whose requests are cut off', async () => {
      const { proxy: running } = await startScene(proxy);
      // More than the bridge takes: it answers, and closes while the proxy still writes, which may look like a bridge that is gone.
      const large = { 'X-Large': 'a'.repeat(9300), 'X-Larger': 'a'.repeat(9300) };
      const body = 'b'.repeat(16_000);
      for (let i = 0; i < CUT_OFF; i += 1) {
        const given = { method: 'POST', headers: large, body, protocol: 'http/1.1' } as const;
        await ask(running, '/events/prices.ACME', given).catch(() => undefined);
      }
      const headers = { Accept: 'application/json' };
      const others = Array.from({ length: 4 }, () => ask(running, '/events/prices.ACME', { headers }));
      expect((await Promise.all(others)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    });

    it('let nobody hold a socket who does not say what he wants', async () => {
      const also: [string, string][] = [[proxy.head, proxy.head.replace('10s', '1s')]];
      const { proxy: running } = await startScene(proxy, { also });
      const socket = connectTls({
        host: '127.0.0.1',
        port: running.tlsPort,
        ca: running.ca,
        servername: 'localhost',
      });
      onTestFinished(() => void socket.destroy());
      let closed = false;
      socket.on('error', () => {
        // ECONNRESET, as some proxies close; `close` comes next.
      });
      socket.on('close', () => {
        closed = true;
      });
      socket.resume().write('GET /events/prices.ACME HTTP/1.1\r\nHost: local');
      await poll('the proxy to close it', () => closed);
    });
  });
}
