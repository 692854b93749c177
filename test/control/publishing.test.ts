import { describe, expect, it } from 'vitest';
import type { Caller } from '../../src/control/operation.ts';
import type { KnownLog } from '../../src/control/publish/publisher.ts';
import { PublishCounts, publishingOperations } from '../../src/control/publish/publishing.ts';
import { Router } from '../../src/routing/router.ts';
import { routeConfig } from '../support/route.ts';

const source = { kind: 'stream', stream: 'S', warmMs: 0 } as const;
const ROUTES = { s: routeConfig({ channel: 's.{x}', subject: 's.{x}', source }) };
const CALLER: Caller = { via: 'nats' };

/** What is answered to a message that `stream` took as `seq`, where this is known of the log of the route. */
async function positionOf(ack: { stream: string; seq: number; duplicate: boolean }, log: KnownLog) {
  const [publish] = publishingOperations({
    router: new Router(ROUTES),
    prefix: 'sidestream',
    channelState: () => 'open',
    publisher: { publish: async () => ({ domain: '', ...ack }) },
    maxEventBytes: 100,
    logOf: () => log,
    touch: () => undefined,
    send: () => Promise.reject(new Error('it is for a channel')),
    counts: new PublishCounts(),
  });
  if (publish === undefined || !('run' in publish)) throw new Error('it is no single operation');
  const answer = await publish.run({ channel: 's.a', data: '' }, CALLER);
  return (answer as { position?: string }).position;
}

describe('the position of what was published', () => {
  const log = { epoch: 'abc', offset: 5 };

  it('is told where it is one of the log of the route', async () => {
    expect(await positionOf({ stream: 'S', seq: 6, duplicate: false }, log)).toBe('abc.6');
    expect(await positionOf({ stream: 'S', seq: 3, duplicate: true }, log)).toBe('abc.3');
  });

  it('is not told where another stream took it, or one that was made anew', async () => {
    expect(await positionOf({ stream: 'T', seq: 6, duplicate: false }, log)).toBeUndefined();
    expect(await positionOf({ stream: 'S', seq: 5, duplicate: false }, log)).toBeUndefined();
    const unknown = { epoch: undefined, offset: 0 };
    expect(await positionOf({ stream: 'S', seq: 1, duplicate: false }, unknown)).toBeUndefined();
  });
});
