import { connect } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { fileConfig, startBridge } from '../support/bridge.ts';
import { selfSigned } from '../support/certificate.ts';
import { startCli, writeConfig } from '../support/cli.ts';
import { startNats } from '../support/nats-server.ts';
import { startPublisher } from '../support/publisher.ts';
import { RawClient } from '../support/raw-client.ts';

test('streams, refusals and farewells are served over TLS as without it', async () => {
  const nats = await startNats();
  const { certFile, keyFile, cert } = selfSigned();
  const bridge = await startBridge({ nats, config: { http: { tls: { certFile, keyFile } } } });
  const publisher = await startPublisher(nats);
  const stream = await bridge.stream('/events/topic.a', { ca: cert });
  await nats.subscribed('topics.a');
  const payloads = ['small', 'x'.repeat(70_000), 'last'];
  for (const payload of payloads) await publisher.publish('topics.a', payload);
  expect((await stream.take(3)).map(({ data }) => data)).toEqual(payloads);
  expect((await bridge.request('/events/unknown', { ca: cert })).status).toBe(404);
  await bridge.drain();
  await stream.next('sidestream.close');
  await stream.ended();
});

test('a client that does not trust the certificate gets nothing, and one that speaks no TLS is closed', async () => {
  const { certFile, keyFile, cert } = selfSigned();
  const bridge = await startBridge({
    nats: await startNats(),
    config: { http: { tls: { certFile, keyFile } } },
  });
  const socket = connect({ host: '127.0.0.1', port: bridge.httpPort, servername: 'localhost' });
  onTestFinished(() => {
    socket.destroy();
  });
  await expect(
    new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject)),
  ).rejects.toThrow(/self.signed/);
  const plain = await RawClient.connect(bridge.httpPort);
  plain.send('GET /events/topic.a HTTP/1.1\r\nHost: x\r\n\r\n');
  await plain.closed();
  expect(plain.text).not.toContain('HTTP/1.1 200');
  await bridge.stream('/events/topic.a', { ca: cert });
});

test('a certificate and a key that do not belong together are told at the start', async () => {
  const [one, other] = [selfSigned(), selfSigned()];
  const config = fileConfig({ http: { tls: { certFile: one.certFile, keyFile: other.keyFile } } });
  const cli = await startCli(['serve', '--config', writeConfig(config)]);
  expect(await cli.exited()).toBe(1);
  expect(cli.stderr).toMatch(/^sidestream: LISTEN_FAILED: cannot serve TLS \(http\.tls\) .*key/);
  for (const file of [one.certFile, other.keyFile]) expect(cli.stderr).toContain(file);
});
