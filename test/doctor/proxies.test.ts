import { describe, expect, it } from 'vitest';
import { startScene } from '../proxies/bridges.ts';
import { missing } from '../proxies/proxy.ts';
import { PROXIES } from '../proxies/table.ts';
import { poll } from '../support/poll.ts';
import { examined, OPS_TOKEN, those } from './examined.ts';

const ORIGIN = 'https://app.example.com';
const CONFIG = {
  http: { cors: { origins: [ORIGIN] } },
  sse: { heartbeat: '1s', compression: ['gzip'] },
  ops: { token: OPS_TOKEN },
};

describe.each(PROXIES)('behind $name as the documentation sets it up', (kind) => {
  it.skipIf(missing(kind) !== undefined)('finds nothing wrong, and is back after a drain', async () => {
    const { proxy, bridges } = await startScene(kind, { config: CONFIG });
    const examination = examined(`https://localhost:${proxy.tlsPort}/events/prices.ACME`, {
      ...(bridges[0] !== undefined && { ops: bridges[0] }),
      trust: { insecure: false, ca: proxy.ca },
      headers: { origin: ORIGIN },
      idleMs: 2500,
      drain: 'call',
    });
    // As on SIGTERM: what has drained goes. Without it, and without health checks, nginx would prefer it for its being so idle.
    const drained = await poll('the drain', () => bridges.find(({ metrics }) => metrics.draining));
    await drained.drain();
    await drained.stop();
    const found = await examination;
    expect(Object.values(found).filter(({ verdict }) => verdict === 'problem')).toEqual([]);
    // This Node may not know zstd; and on a busy machine no second may be quiet enough for a heartbeat.
    const maybe = ['zstd', 'heartbeats'];
    expect(those(found, 'unmeasured').filter((id) => !maybe.includes(id))).toEqual([]);
    expect(found['http-version'].values?.protocol).toBe('h2');
    expect(found.gzip.measured).toContain('compressed by the bridge');
    expect(found.events.values).toMatchObject({ sent: 5, held: 0 });
  });
});
