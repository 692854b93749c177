import { expect, it } from 'vitest';
import type { Authenticator } from '../../src/auth/authenticator.ts';
import { Acts } from '../../src/http/acts.ts';
import { setUpStreamHub } from '../hub/stream-hub.ts';
import { LIMITS } from './open-connection.ts';

type Real = ReturnType<typeof setUpStreamHub>;
type MayRead = Authenticator['mayRead'];

const actsOn = ({ hub, wheel }: Real, mayRead: MayRead = async () => undefined) =>
  new Acts({
    hub,
    wheel,
    authenticator: { mayRead },
    limits: LIMITS,
    control: true,
    patienceMs: 1000,
    channelState: () => 'open',
    hasSeat: () => true,
    recount: () => undefined,
  });

it('a stream that is put on a channel that holds something back is told a cursor from before that', async () => {
  const real = setUpStreamHub({ route: { batch: { windowMs: 1000, as: 'events' } } });
  const { hub, destination } = real;
  const acts = actsOn(real);
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

/** A stream on `b`, and what puts it on `a` and takes it off, telling what was refused. */
async function onAndOff(mayRead?: MayRead) {
  const real = setUpStreamHub();
  const acts = actsOn(real, mayRead);
  const { connection } = real.connect(undefined, ['b']);
  real.connect(undefined, ['a']);
  await real.settle();
  const put = async () => [
    ...(await acts.subscribe(connection, [real.destination('a')], { isVouched: false })).values(),
  ];
  const take = async () => [...(await acts.unsubscribe(connection, ['a'])).values()];
  return { real, put, take };
}

it('a stream that is never without an act is acted on all the same', async () => {
  const { put, take } = await onAndOff();
  const refusals: string[] = [];
  let before = put();
  for (let n = 0; n < 40; n += 1) {
    const next = n % 2 === 0 ? take() : put();
    refusals.push(...(await before));
    before = next;
  }
  expect([...refusals, ...(await before)]).toEqual([]);
});

it('acts on one stream are refused where too many wait already, and taken when those are done', async () => {
  const { put } = await onAndOff();
  const refusals = await Promise.all(Array.from({ length: 20 }, put));
  expect(refusals.flat()).toEqual(Array(4).fill('NOT_LIVE'));
  expect(await put()).toEqual([]);
});

it('an act that waits for an answer that never comes holds up the next no longer than its own time', async () => {
  const { real, put, take } = await onAndOff(() => new Promise(() => undefined));
  const hung = put();
  real.pass(600);
  const next = take();
  await real.settle();
  real.pass(500);
  expect([await hung, await next]).toEqual([['NOT_LIVE'], []]);
});
