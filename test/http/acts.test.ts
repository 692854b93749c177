import { expect, it } from 'vitest';
import { Acts } from '../../src/http/acts.ts';
import { setUpStreamHub } from '../hub/stream-hub.ts';
import { LIMITS } from './open-connection.ts';

it('a stream that is put on a channel that holds something back is told a cursor from before that', async () => {
  const real = setUpStreamHub({ route: { batch: { windowMs: 1000, as: 'events' } } });
  const { hub, wheel, destination } = real;
  const acts = new Acts({
    hub,
    wheel,
    authenticator: { mayRead: async () => undefined },
    limits: LIMITS,
    control: true,
    patienceMs: 1000,
    channelState: () => 'open',
    hasSeat: () => true,
    recount: () => undefined,
  });
  const client = real.connect(undefined, ['b']);
  real.connect(undefined, ['a']);
  await real.settle();
  real.message({ offset: 1 }, 'c');
  real.message({ offset: 2 }, 'a');
  await acts.subscribe(client.connection, [destination('a')], { isVouched: false });
  expect(client.lastEventId).toBe('e.1');
  // On its way to the stream all the same.
  real.pass(1100);
  hub.flush();
  expect(client.received).toEqual(['e.2 2']);
});
