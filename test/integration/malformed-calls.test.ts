import { describe, expect, it } from 'vitest';
import { startBridge } from '../support/bridge.ts';
import { startNats } from '../support/nats-server.ts';
import { publishRaw, startPublisher } from '../support/publisher.ts';

describe('a message for the control plane whose headers are malformed', () => {
  it.each(['sidestream.api.stats', 'sidestream.control.stats', 'sidestream.control.disconnect'])(
    'on %s keeps nobody from being served',
    async (subject) => {
      const nats = await startNats();
      const bridge = await startBridge({ nats });
      const stream = await bridge.stream('/events/topic.a');
      await nats.subscribed('topics.a');
      await nats.subscribed(subject);
      const publisher = await startPublisher(nats);
      // The process would end, or nothing would ever be received again.
      for (const lines of ['Sidestream-Caller: a\nb', 'traceparent: a\rb', 'Sidestream-Coordinator: a\0\nb'])
        await publishRaw(nats, subject, lines, '{}');
      await publisher.publish('topics.a', 'served');
      expect((await stream.next('message')).data).toBe('served');
      const { connection } = publisher;
      await nats.subscribed('sidestream.api.stats');
      const answer = await connection.request('sidestream.api.stats', '', { timeout: 5000 });
      expect(answer.json()).toHaveProperty('instances');
    },
  );
});
