import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exampleYaml } from '../../src/config/example.ts';
import { parseConfig } from '../../src/config/load.ts';
import { shareOf } from '../../src/workers/share.ts';
import { fileConfig } from '../support/bridge.ts';

const auth = { callout: { subject: 'auth' }, access: { concurrency: 3 } };
const { config } = parseConfig(JSON.stringify(fileConfig({ auth })), 'test.yaml', {});

describe('the config of a worker', () => {
  it('has a part of what is split, and together they have no more than all', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 }), (count) => {
        const { limits, drain } = shareOf(config, 1, count);
        expect(limits.channels * count).toBeLessThanOrEqual(config.limits.channels);
        expect(limits.historyBytes * count).toBeLessThanOrEqual(config.limits.historyBytes);
        expect(limits.connectRatePerSecond * count).toBeCloseTo(config.limits.connectRatePerSecond);
        expect(drain.reconnectRatePerSecond * count).toBeCloseTo(config.drain.reconnectRatePerSecond);
      }),
    );
  });

  it('has the limits that are counted together as they are', () => {
    const share = shareOf(config, 2, 4);
    expect(share.limits.connections).toBe(config.limits.connections);
    expect(share.limits.pendingBytes).toBe(config.limits.pendingBytes);
    expect(share.drain.timeoutMs).toBe(config.drain.timeoutMs);
  });

  it('is named by its number, and asks services one at a time at the least', () => {
    const share = shareOf(config, 2, 8);
    expect([share.workers, share.nats.name]).toEqual([8, 'sidestream-2']);
    expect([share.auth.callout?.concurrency, share.auth.access.concurrency]).toEqual([8, 1]);
    expect(share.auth.introspection).toBeUndefined();
  });

  it('says whether calls come by HTTP, and not by which token', () => {
    const ops = { token: 'a-token-of-the-operators' };
    const { config: called } = parseConfig(JSON.stringify(fileConfig({ ops })), 'test.yaml', {});
    expect(shareOf(called, 1, 2).ops.token).not.toContain('operators');
    expect(shareOf(called, 1, 2).ops.token).toBeDefined();
    expect(shareOf(config, 1, 2).ops.token).toBeUndefined();
  });

  it('can be handed to another process', () => {
    for (const text of [exampleYaml(), JSON.stringify(fileConfig({ auth }))]) {
      const share = shareOf(parseConfig(text, 'test.yaml', {}).config, 1, 2);
      expect(structuredClone(share)).toEqual(share);
    }
  });

  it('leaves nobody without room', () => {
    const limits = { channels: 1, history: '1MiB', pendingTotal: '1MiB', pending: '512KiB' };
    const { config: small, notices } = parseConfig(
      JSON.stringify(fileConfig({ limits, workers: 16 })),
      'test.yaml',
      {},
    );
    expect(shareOf(small, 1, 16).limits).toMatchObject({
      channels: 1,
      historyBytes: 1 << 20,
      pendingTotalBytes: 512 << 10,
    });
    // And the config's notices say so.
    const said = notices.map(({ message }) => /[^ ]+ each, for 16 workers$|$/.exec(message)?.[0]);
    expect(said.filter((text) => text !== '')).toEqual([
      '1 each, for 16 workers',
      '1MiB each, for 16 workers',
      '512KiB each, for 16 workers',
    ]);
  });
});
