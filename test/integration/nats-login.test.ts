import { createServer } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startBridge, type TestBridge } from '../support/bridge.ts';
import { selfSigned } from '../support/certificate.ts';
import { makeCreds, makeNkey } from '../support/credentials.ts';
import { temporaryFile } from '../support/folder.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';

const PASSWORD = 'correct-horse';
const TOKEN = 'battery-staple';

function expectNoSecrets({ logs }: TestBridge, ...secrets: readonly string[]): void {
  const text = JSON.stringify(logs);
  for (const secret of secrets) expect(text).not.toContain(secret);
}

describe('the bridge logs in to NATS', () => {
  test('with user and password', async () => {
    const nats = await startNats({ config: `authorization { user: bridge, password: "${PASSWORD}" }` });
    const bridge = await startBridge({
      nats,
      config: { nats: { auth: { user: 'bridge', password: PASSWORD } } },
    });
    await bridge.stream('/events/topic.a');
    expectNoSecrets(bridge, PASSWORD);
  });

  test('with a password from a file', async () => {
    const nats = await startNats({ config: `authorization { user: bridge, password: "${PASSWORD}" }` });
    const auth = { user: 'bridge', passwordFile: temporaryFile(`${PASSWORD}\n`) };
    const bridge = await startBridge({ nats, config: { nats: { auth } } });
    expectNoSecrets(bridge, PASSWORD);
  });

  test('with a token', async () => {
    const nats = await startNats({ config: `authorization { token: "${TOKEN}" }` });
    const bridge = await startBridge({ nats, config: { nats: { auth: { token: TOKEN } } } });
    expectNoSecrets(bridge, TOKEN);
  });

  test('with an NKey', async () => {
    const { publicKey, seed } = makeNkey();
    const nats = await startNats({ config: `authorization { users: [ { nkey: ${publicKey} } ] }` });
    const nkeySeedFile = temporaryFile(`# of the bridge\n${seed}\n`);
    const bridge = await startBridge({ nats, config: { nats: { auth: { nkeySeedFile } } } });
    expectNoSecrets(bridge, seed);
  });

  test('with a .creds file', async () => {
    const { config, creds } = makeCreds();
    const nats = await startNats({ config });
    const credsFile = temporaryFile(creds);
    const bridge = await startBridge({ nats, config: { nats: { auth: { credsFile } } } });
    await bridge.stream('/events/topic.a');
    expectNoSecrets(bridge, creds.split('\n')[1] ?? '', creds.split('\n')[5] ?? '');
  });

  test('over TLS, to a server that its CA vouches for', async () => {
    const { certFile, keyFile } = selfSigned();
    const nats = await startNats({ config: `tls { cert_file: "${certFile}", key_file: "${keyFile}" }` });
    const servers = [`tls://127.0.0.1:${nats.port}`];
    const bridge = await startBridge({ nats, config: { nats: { servers, tls: { caFile: certFile } } } });
    await bridge.stream('/events/topic.a');
  });

  test('over TLS with a certificate of its own, where the server asks for one', async () => {
    const [server, client] = [selfSigned(), selfSigned()];
    const files = `cert_file: "${server.certFile}", key_file: "${server.keyFile}", ca_file: "${client.certFile}"`;
    const nats = await startNats({ config: `tls { ${files}, verify: true }` });
    const tls = { caFile: server.certFile, certFile: client.certFile, keyFile: client.keyFile };
    await startBridge({ nats, config: { nats: { servers: [`tls://127.0.0.1:${nats.port}`], tls } } });
  });
});

describe('what NATS does not accept does not end the process', () => {
  test('a wrong password: it stays up, says so, and connects once the password is right', async () => {
    const login = (password: string) => `authorization { user: bridge, password: "${password}" }`;
    const nats = await startNats({ config: login('another') });
    const auth = { user: 'bridge', password: PASSWORD };
    const bridge = await startBridge({ nats, config: { nats: { auth } }, connected: false });
    const line = await bridge.logged('NATS refuses the credentials of nats.auth; trying again');
    expect(line.error).toMatch(/authorization/i);
    expect((await fetch(`${bridge.opsUrl}/livez`)).status).toBe(200);
    await nats.reload(login(PASSWORD));
    await bridge.connected();
    expectNoSecrets(bridge, PASSWORD);
  });

  test('a password that becomes wrong: streams stay, and are fed again once it is right', async () => {
    const login = (password: string) => `authorization { user: bridge, password: "${password}" }`;
    const nats = await startNats({ config: login(PASSWORD) });
    const bridge = await startBridge({
      nats,
      config: { nats: { auth: { user: 'bridge', password: PASSWORD } } },
    });
    const stream = await bridge.stream('/events/topic.a');
    await nats.subscribed('topics.a');
    await nats.reload(login('another'));
    await poll('the loss to be noticed', () => !bridge.metrics.natsConnected);
    await poll(
      'several refusals',
      () => [...bridge.metrics.natsErrors.values()].reduce((sum, count) => sum + count, 0) > 2,
    );
    expect(bridge.logs.filter(({ error }) => /authorization/i.test(String(error)))).not.toHaveLength(0);
    await nats.reload(login(PASSWORD));
    await stream.next('sidestream.gap');
    await nats.subscribed('topics.a', 1);
  });

  test('a certificate that nobody vouches for: it is not connected to', async () => {
    const { certFile, keyFile } = selfSigned();
    const nats = await startNats({ config: `tls { cert_file: "${certFile}", key_file: "${keyFile}" }` });
    const servers = [`tls://127.0.0.1:${nats.port}`];
    const bridge = await startBridge({ nats, config: { nats: { servers } }, connected: false });
    expect((await bridge.logged('NATS is not reachable; trying again')).error).toMatch(/certificate/i);
    expect(bridge.metrics.natsConnected).toBe(false);
  });

  test('a server without TLS where TLS is insisted on: it is not connected to', async () => {
    const nats = await startNats();
    const servers = [`tls://127.0.0.1:${nats.port}`];
    const bridge = await startBridge({ nats, config: { nats: { servers } }, connected: false });
    await bridge.logged('NATS is not reachable; trying again');
    expect(bridge.metrics.natsConnected).toBe(false);
  });

  test('an address that accepts and says nothing does not hold up the end', { timeout: 10_000 }, async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => {
      silent.close();
    });
    await new Promise((resolve) => silent.once('listening', resolve));
    const accepted = new Promise((resolve) => silent.once('connection', resolve));
    const address = silent.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const bridge = await startBridge({ config: { nats: { servers: [`nats://127.0.0.1:${port}`] } } });
    await accepted;
    await bridge.stop();
  });
});
