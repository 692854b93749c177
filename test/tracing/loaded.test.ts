import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { fileConfig } from '../support/bridge.ts';
import { serve } from '../support/cli.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { request } from '../support/stream-client.ts';
import { OtlpReceiver } from './receiver.ts';
import { PARENT, SPAN_ID, TRACE_ID } from './sdk.ts';

const OTEL = fileURLToPath(new URL('../../deploy/tracing/otel.mjs', import.meta.url));
/** So that nothing is sent before the end. */
const NEVER_MS = 3_600_000;

/** The program as docs/tracing.md has it started, with the file that is shown there. */
async function startTraced(workers: number, env: Record<string, string> = {}) {
  const nats = await startNats();
  const receiver = new OtlpReceiver();
  await receiver.start();
  const config = { workers, ops: { readyNeedsNats: true } };
  const { cli, httpPort, opsUrl } = await serve(fileConfig(config, nats), {
    env: {
      NODE_OPTIONS: `--import ${OTEL}`,
      OTEL_SERVICE_NAME: 'edge',
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      ...env,
    },
  });
  await poll('NATS to be there', async () => (await fetch(`${opsUrl}/readyz`)).ok);
  const stream = async () => {
    const client = await request({ port: httpPort, target: '/events/topic.a' });
    await client.next('sidestream.open');
    return client;
  };
  return { nats, receiver, cli, stream, publisher: await startPublisher(nats) };
}

describe('the program with an SDK that was loaded before it', () => {
  it('sends its spans to a collector', async () => {
    const { receiver, stream, publisher } = await startTraced(1, { OTEL_BSP_SCHEDULE_DELAY: '50' });
    const client = await stream();
    await publisher.publish('topics.a', 'x', { traceparent: PARENT });
    await client.next('message');
    const [span] = await poll('the span', () => (receiver.spans.length > 0 ? receiver.spans : undefined));
    expect(span).toMatchObject({
      traceId: TRACE_ID,
      parentSpanId: SPAN_ID,
      name: 'process topics.{name}',
      resource: { 'service.name': 'edge' },
    });
    expect([...receiver.scopes]).toEqual(['sidestream']);
  });

  it('has every worker make its own of what its readers get, and sends the last of them before it ends', async () => {
    const env = { OTEL_BSP_SCHEDULE_DELAY: String(NEVER_MS), OTEL_TRACES_SAMPLER: 'parentbased_always_off' };
    const { nats, receiver, cli, stream, publisher } = await startTraced(2, env);
    let clients = [await stream()];
    // The kernel spreads by chance.
    await poll('both workers to have a reader', async () => {
      clients = [...clients, await stream()];
      return (await nats.subscriptionsTo('topics.a')) === 2;
    });
    await publisher.publish('topics.a', 'not recorded');
    await publisher.publish('topics.a', 'recorded', { traceparent: PARENT });
    for (const client of clients) await client.take(2);
    expect(receiver.spans).toEqual([]);
    cli.signal('SIGTERM');
    expect(await cli.exited()).toBe(0);
    expect(receiver.spans).toMatchObject([{ parentSpanId: SPAN_ID }, { parentSpanId: SPAN_ID }]);
    const [one, two] = receiver.spans;
    expect(one?.resource['process.pid']).not.toBe(two?.resource['process.pid']);
    const counts = receiver.spans.map(({ attributes }) => Number(attributes['sidestream.subscriptions']));
    expect(counts.reduce((sum, count) => sum + count)).toBe(clients.length);
  });

  it('does not wait for a collector that does not answer, and says that spans were lost', async () => {
    const silent = new OtlpReceiver();
    await silent.start({ isSilent: true });
    const { cli, stream, publisher } = await startTraced(1, {
      OTEL_EXPORTER_OTLP_ENDPOINT: silent.url,
      OTEL_EXPORTER_OTLP_TIMEOUT: String(NEVER_MS),
      OTEL_BSP_EXPORT_TIMEOUT: String(NEVER_MS),
      OTEL_BSP_SCHEDULE_DELAY: String(NEVER_MS),
    });
    const client = await stream();
    await publisher.publish('topics.a', 'x', { traceparent: PARENT });
    await client.next('message');
    cli.signal('SIGTERM');
    expect(await cli.exited()).toBe(0);
    expect(cli.logs.slice(-2)).toMatchObject([
      { message: 'the last spans could not be sent' },
      { message: 'stopped' },
    ]);
  });
});
