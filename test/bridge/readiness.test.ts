import { expect, it } from 'vitest';
import { unready } from '../../src/bridge/readiness.ts';
import { Metrics } from '../../src/metrics.ts';

it('who needs NATS is ready when streams are let in, not as soon as there is a connection', () => {
  const metrics = new Metrics();
  const content = { ops: { readyNeedsNats: false } };
  const needing = { ops: { readyNeedsNats: true } };
  expect(unready(needing, metrics, false)).toBe('not connected to NATS');
  metrics.natsConnected = true;
  expect(unready(needing, metrics, false)).toBe('what NATS keeps of revocations was not read yet');
  expect(unready(needing, metrics, true)).toBeUndefined();
  expect(unready(content, metrics, false)).toBeUndefined();
  metrics.draining = true;
  expect(unready(content, metrics, true)).toBe('draining');
});
