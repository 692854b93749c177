import { expect, it } from 'vitest';
import { InFlight } from '../../src/http/in-flight.ts';

it('requests are bounded together and by client, and nothing of them is left when they are answered', () => {
  const inFlight = new InFlight({ all: 3, perClient: 2 });
  const entered = ['a', 'a', 'a', 'b', 'c'].map((client) => inFlight.enter(client));
  expect(entered).toEqual([true, true, false, true, false]);
  inFlight.leave('a');
  expect(inFlight.enter('c')).toBe(true);
  for (const client of ['a', 'b', 'c']) inFlight.leave(client);
  expect([inFlight.size, inFlight.clients]).toEqual([0, 0]);
});
