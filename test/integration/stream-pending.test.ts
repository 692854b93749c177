import { expect, test } from 'vitest';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { NotingSink, startJetStream, startSources } from '../support/stream-source.ts';

test('what is still to come of a stream is known with each message, and is nothing in the end', async () => {
  const nats = await startNats({ jetStream: true });
  const jetStream = await startJetStream(nats);
  await jetStream.add();
  const running = await startSources({ nats });
  const pending = () => [...running.sources.states()].map((state) => state.pending);
  const seen: number[] = [];
  class WatchingSink extends NotingSink {
    override publish(...publication: Parameters<NotingSink['publish']>): void {
      super.publish(...publication);
      seen.push(...pending());
    }
  }
  const sink = new WatchingSink();
  running.source('orders.1').open(running.destination('orders.1'), sink);
  await sink.until('settled');
  await jetStream.publish('orders.1', 'a');
  await poll('the first', () => seen.length === 1);
  running.leave();
  await jetStream.publish('orders.1', 'b', 'c', 'd', 'e');
  running.comeBack();
  await poll('all of them', () => seen.length === 5);
  expect(seen).toEqual([0, 3, 2, 1, 0]);
  expect(pending()).toEqual([0]);
});
