import { expect, it } from 'vitest';
import { z } from 'zod';
import { TimerWheel } from '../../src/clock.ts';
import { Bus } from '../../src/cluster/bus.ts';
import { Peers } from '../../src/cluster/peers.ts';
import { single } from '../../src/control/operation.ts';
import { Plane } from '../../src/control/plane.ts';
import { createLog } from '../../src/log.ts';
import { ManualClock } from '../support/clock.ts';

const MEBIBYTE = 1024 * 1024;

const payloadOf = (bytes: number) =>
  Buffer.from(JSON.stringify({ data: 'x'.repeat(bytes - '{"data":""}'.length) }));

/** A plane with one operation, `take`, that goes on until it is released. */
function start() {
  const clock = new ManualClock();
  const wheel = new TimerWheel(clock);
  const lines: { message: string; outcome?: string }[] = [];
  const log = createLog({ level: 'info', format: 'json' }, { write: (line) => lines.push(JSON.parse(line)) });
  const bus = new Bus(log);
  const own = { instance: 'own', host: 'h', version: '1', startedMs: 0 };
  const shared = { prefix: 'sidestream', bus, clock, wheel, log };
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const take = single(
    {
      name: 'take',
      kind: 'act',
      summary: '',
      input: z.strictObject({ data: z.string() }),
      output: z.unknown(),
      codes: [],
      maxBytes: MEBIBYTE,
    },
    () => released.then(() => ({})),
  );
  const plane = new Plane({
    ...shared,
    peers: new Peers({ ...shared, own }),
    operations: [take],
    parts: [],
    api: false,
    version: '1',
    deadlineMs: 1000,
  });
  const call = async (payload: Uint8Array) => {
    const outcome = await plane.call('take', payload, { via: 'nats' });
    return outcome.ok ? 'ok' : outcome.error.code;
  };
  return { call, release, lines };
}

it('calls are refused that would hold more memory than all may, though few are under way', async () => {
  const { call, release, lines } = start();
  const large = payloadOf(MEBIBYTE);
  const held = Array.from({ length: 32 }, () => call(large));
  expect(await call(payloadOf(100))).toBe('CONTROL_BUSY');
  release();
  expect(await Promise.all(held)).toEqual(Array(32).fill('ok'));
  expect(await call(large)).toBe('ok');
  // Of those that were refused for it there is a line now and then, of all others one each.
  expect(lines.filter(({ message }) => message === 'control')).toHaveLength(33);
  expect(lines.filter(({ message }) => message.startsWith('calls are refused'))).toHaveLength(1);
});
