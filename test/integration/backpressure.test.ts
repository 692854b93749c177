import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
/** Roughly what `id:` and the line ends add to a payload. */
const FIELDS_BYTES = 30;

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

// Frames beyond uWebSockets.js's cork buffer (16 KiB), written under backpressure, broke the chunked framing of its older
// versions (its issue 1249). The client throws at the first byte that is not where RFC 9112 7.1 wants it.
test.each([
  ['small frames', [100]],
  ['frames of the size of the cork buffer', [16 * KIB - 100, 16 * KIB, 16 * KIB + 1]],
  ['frames larger than what is joined into one write', [70 * KIB]],
  ['frames of 1 MiB', [1024 * KIB]],
  ['frames of all sizes', [100, 70 * KIB, 1, 16 * KIB, 1024 * KIB, 0, 5 * KIB]],
])('a reader that stops and goes on gets %s whole, all of them, in order', async (_, sizes) => {
  const nats = await startNats({ config: 'max_payload: 2MB' });
  const bridge = await startBridge({
    nats,
    config: { limits: { pending: '256MiB', stalled: '1h', event: '2MiB' } },
  });
  const publisher = await startPublisher(nats);
  const stream = await bridge.stream('/events?channels=topic.a,topic.b');
  await nats.subscribed('topics.a');
  await nats.subscribed('topics.b');

  const published: string[] = [];
  const publish = async (bytes: number) => {
    for (let left = bytes; left > 0; ) {
      const n = published.length;
      const payload = `${n}:`.padEnd(sizes[n % sizes.length] ?? 0, String.fromCharCode(97 + (n % 26)));
      publisher.send(n % 2 === 0 ? 'topics.a' : 'topics.b', payload);
      published.push(digest(payload));
      left -= payload.length + FIELDS_BYTES;
    }
    await publisher.connection.flush();
    await poll('the publications', () => bridge.metrics.route('topic').publications === published.length);
  };

  for (let round = 1; round <= 3; round += 1) {
    const before = published.length;
    stream.pause();
    // The kernels take some MB of a connection on loopback, more of it from round to round.
    while (bridge.metrics.slowConnections === 0) await publish(MIB);
    await publish(3 * MIB);
    stream.resume();
    const received = await stream.take(published.length - before);
    // Not `toEqual`: where they differ, it would compare tens of thousands with each other.
    expect(received.findIndex(({ data }, n) => digest(data) !== published[before + n])).toBe(-1);
    await poll('the reader to have caught up', () => bridge.metrics.slowConnections === 0);
  }
  expect(bridge.metrics.pendingBytes).toBe(0);
  expect(bridge.metrics.connections).toBe(1);
});
