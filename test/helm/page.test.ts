import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { jetstreamManager } from '@nats-io/jetstream';
import { describe, expect, it } from 'vitest';
import { runCli } from '../support/cli.ts';
import { temporaryFile } from '../support/folder.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { StreamClient } from '../support/stream-client.ts';
import { noHelm, render, TAKEN, valuesFile } from './chart.ts';
import { startPod } from './in-pod.ts';
import { KubernetesSchemas, noSchemas } from './kubernetes-schemas.ts';

const PAGE = readFileSync(new URL('../../docs/kubernetes.md', import.meta.url), 'utf8');
const blocks = [...PAGE.matchAll(/```yaml\n([\s\S]*?)```/g)].flatMap(([, text]) => text ?? []);
/** The block of step 3. */
const [walkthrough = ''] = blocks;
/** All that are values: not the adapter's rule, and not what stands in somebody else's chart. */
const values = blocks.filter(
  (text) => !/^(rules:|# Chart\.yaml|# templates\/|# values\.yaml\nsidestream:)/.test(text),
);

describe.skipIf(noHelm !== undefined)('docs/kubernetes.md', () => {
  it('shows values that the chart takes, each block over any others', async () => {
    expect(values.length).toBeGreaterThanOrEqual(7);
    for (const text of values) await render([valuesFile(TAKEN), temporaryFile(text, 'values.yaml')]);
  });

  it.skipIf(noSchemas !== undefined)(
    'shows values whose objects Kubernetes takes',
    async () => {
      const schemas = new KubernetesSchemas('1.30');
      for (const text of values)
        for (const object of await render([valuesFile(TAKEN), temporaryFile(text, 'values.yaml')]))
          expect(schemas.problems(object), object.kind).toEqual([]);
    },
    60_000,
  );

  it('leads to a channel that is protected, and misses nothing', async () => {
    const objects = await render([temporaryFile(walkthrough, 'values.yaml')]);
    const nats = await startNats({ jetStream: true });
    const env = { TOKEN_SECRET: randomBytes(48).toString('base64') };
    const { configFile, httpPort: port, opsPort } = await startPod(objects, { natsUrl: nats.url, env });
    // Step 4: `--wait`, and then the stream.
    const ready = async () => (await fetch(`http://127.0.0.1:${opsPort}/readyz`)).status === 200;
    await poll('the pod to be ready', ready);
    const publisher = await startPublisher(nats);
    const manager = await jetstreamManager(publisher.connection);
    await manager.streams.add({ name: 'ORDERS', subjects: ['orders.>'] });

    // Step 5.
    const signed = await runCli(['token', '--config', configFile, '--sub', '42'], { env });
    const Authorization = `Bearer ${signed.stdout.trim()}`;
    const status = async (channel: string, headers: Record<string, string>) => {
      const client = new StreamClient({ port, target: `/events/${channel}`, headers });
      return (await client.answered()).status;
    };
    expect(await status('orders-42', {})).toBe(401);
    expect(await status('orders-43', { Authorization })).toBe(403);
    const open = (headers: Record<string, string> = {}) =>
      poll('a stream', async () => {
        const target = '/events/orders-42';
        const client = new StreamClient({ port, target, headers: { Authorization, ...headers } });
        if ((await client.answered()).status !== 200) return undefined;
        return { client, opened: JSON.parse((await client.next('sidestream.open')).data) };
      });
    // A bridge that was there before its stream looks for it now and then; until it has it, who listens is told a gap.
    await poll('the bridge to have the stream', async () => {
      const { client } = await open();
      await publisher.publish('orders.42', '{"order":0}');
      const { event } = await client.next();
      if (event !== 'message') await client.next('sidestream.gap');
      client.destroy();
      return event === 'message';
    });
    const first = await open();
    await publisher.publish('orders.42', '{"order":1}');
    expect((await first.client.next('message')).data).toBe('{"order":1}');

    // Step 6.
    first.client.destroy();
    await publisher.publish('orders.42', '{"order":2}');
    const second = await open({ 'Last-Event-ID': first.client.lastEventId });
    expect(second.opened.channels).toMatchObject([
      { channel: 'orders-42', resume: 'recovered', replayed: 1 },
    ]);
    expect((await second.client.next('message')).data).toBe('{"order":2}');
    second.client.destroy();
  });
});
