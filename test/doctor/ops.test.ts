import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { Ops } from '../../src/doctor/ops.ts';
import { selfSigned } from '../support/certificate.ts';
import { examined, OPS_TOKEN, those } from './examined.ts';
import { startExaminedBridge } from './misconfigured.ts';
import { listen, startStandIn } from './stand-in.ts';

const PATIENCE_MS = 5000;

function opsAt(url: string, { token = OPS_TOKEN, ca }: { token?: string; ca?: string } = {}): Ops {
  return new Ops({ url: new URL(url), token, trust: { insecure: false, ca } }, systemClock, PATIENCE_MS);
}

it('asks the control plane of a bridge, and takes its refusals by their code', async () => {
  const bridge = await startExaminedBridge();
  const stream = await bridge.request('/events/topic.a');
  const { connection } = JSON.parse((await stream.next('sidestream.open')).data);
  const ops = opsAt(bridge.opsUrl);
  expect(await ops.connection(connection)).toMatchObject({
    ok: true,
    answer: { address: '127.0.0.1', transport: 'sse' },
  });
  expect(await ops.send(connection, 'to nobody else')).toMatchObject({
    ok: true,
    answer: { connections: 1 },
  });
  expect(await stream.next('doctor')).toMatchObject({ data: 'to nobody else' });
  expect(await ops.connection('nobody')).toEqual({ ok: false, code: 'CONNECTION_NOT_FOUND' });
  expect(await ops.drain('nobody')).toEqual({ ok: false, code: 'INSTANCE_NOT_FOUND' });
  const stranger = opsAt(`${bridge.opsUrl}/`, { token: 'another' });
  expect(await stranger.connection(connection)).toEqual({ ok: false, code: 'CONTROL_UNAUTHORIZED' });
});

it('takes no other for the control plane', async () => {
  const url = await startStandIn((_, response) => {
    response.writeHead(418).end('{"error":{"code":"not a code\u001b"}}');
  });
  expect(await opsAt(url).connection('x')).toEqual({ ok: false, code: 'STATUS_418' });
  expect(await opsAt('http://127.0.0.1:9').connection('x')).toEqual({ ok: false, code: 'ECONNREFUSED' });
});

it('sends its token to nobody whom it does not trust', async () => {
  const certificate = selfSigned();
  let asked = 0;
  const server = createServer(
    { cert: certificate.cert, key: readFileSync(certificate.keyFile) },
    (_, response) => {
      asked += 1;
      response.end('{}');
    },
  );
  onTestFinished(() => void server.close());
  const url = `https://127.0.0.1:${await listen(server)}`;
  expect(await opsAt(url).connection('x')).toEqual({ ok: false, code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  expect(asked).toBe(0);
  expect(await opsAt(url, { ca: certificate.cert }).connection('x')).toMatchObject({ ok: true });
});

it('is of no use to streams without control events, which is said where it is', async () => {
  const bridge = await startExaminedBridge({ sse: { control: false } });
  const url = `http://127.0.0.1:${bridge.httpPort}/events/topic.a`;
  const found = await examined(url, { ops: bridge, patienceMs: 500 });
  expect(those(found, 'problem')).toEqual([]);
  for (const { verdict, measured } of [found.events, found.address])
    expect(`${verdict}: ${measured}`).toBe(
      'unmeasured: the stream came without sidestream.open; see the check first-bytes',
    );
  expect(found.gzip.measured).toMatch(/^retry in/);
});
