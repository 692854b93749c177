import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { selfSigned } from '../support/certificate.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { noHelm, render, TAKEN, valuesFile } from './chart.ts';
import { probePaths, type Running, startPod, testPod } from './in-pod.ts';

const get = (port: number, path: unknown) => fetch(`http://127.0.0.1:${port}${path}`);

const ready = ({ opsPort }: Running) =>
  poll('the pod to be ready', async () => (await get(opsPort, '/readyz')).status === 200);

/** Runs what `helm test` would run, against addresses of here. */
async function helmTest(
  objects: Parameters<typeof testPod>[0],
  { opsPort, httpPort }: { readonly opsPort: number; readonly httpPort: number },
) {
  const { args, env } = testPod(objects);
  const { pathname, protocol } = new URL(env.STREAMS_URL ?? '');
  const here = {
    OPS_URL: `http://127.0.0.1:${opsPort}`,
    STREAMS_URL: `${protocol}//127.0.0.1:${httpPort}${pathname}`,
  };
  const options = { env: { ...process.env, ...env, ...here } };
  return promisify(execFile)(process.execPath, args, options).then(
    ({ stdout }) => ({ isOk: true, text: stdout }),
    ({ stderr }: { stderr: string }) => ({ isOk: false, text: stderr }),
  );
}

describe.skipIf(noHelm !== undefined)('what the chart would run', () => {
  it('starts with the config that it renders, and answers every probe', async () => {
    const nats = await startNats();
    const objects = await render([valuesFile(TAKEN)]);
    const pod = await startPod(objects, { natsUrl: nats.url });
    await ready(pod);
    const paths = Object.values(probePaths(objects));
    expect(paths).toHaveLength(3);
    for (const path of paths) expect((await get(pod.opsPort, path)).status, `${path}`).toBe(200);
    await nats.stop();
    // A Deployment's pod says so when NATS is away, but is not restarted for it.
    await poll('the pod not to be ready', async () => (await get(pod.opsPort, '/readyz')).status === 503);
    expect((await get(pod.opsPort, '/livez')).status).toBe(200);
  });

  it('passes helm test, with a channel to read and without', async () => {
    const nats = await startNats();
    const values = { ...TAKEN, tests: { channel: 'prices.ACME' } };
    const objects = await render([valuesFile(values)]);
    const pod = await startPod(objects, { natsUrl: nats.url });
    await ready(pod);
    expect(await helmTest(objects, pod)).toEqual({
      isOk: true,
      text: 'ready\nstreams are served\nprices.ACME opens\n',
    });
    const without = await render([valuesFile(TAKEN)]);
    expect(await helmTest(without, pod)).toEqual({ isOk: true, text: 'ready\nstreams are served\n' });
  });

  it('passes helm test where the pods speak TLS', async () => {
    const nats = await startNats();
    const { certFile, keyFile } = selfSigned();
    const objects = await render([
      valuesFile({ config: { ...TAKEN.config, http: { tls: { certFile, keyFile } } } }),
    ]);
    const pod = await startPod(objects, { natsUrl: nats.url });
    await ready(pod);
    expect(await helmTest(objects, pod)).toMatchObject({ isOk: true });
  });

  it('is not restarted while it waits for NATS', async () => {
    const objects = await render([valuesFile(TAKEN)]);
    // Nobody listens there.
    const pod = await startPod(objects, { natsUrl: 'nats://127.0.0.1:1' });
    const { startupProbe, livenessProbe, readinessProbe } = probePaths(objects);
    for (const path of [startupProbe, livenessProbe]) expect((await get(pod.opsPort, path)).status).toBe(200);
    expect((await get(pod.opsPort, readinessProbe)).status).toBe(503);
  });

  it('fails helm test where the Services lead elsewhere, or the channel is not public', async () => {
    const nats = await startNats();
    const config = {
      ...TAKEN.config,
      auth: {
        jwt: {
          algorithms: ['EdDSA'],
          keys: { jwk: { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' } },
        },
      },
      channels: { mine: { channel: 'mine', subject: 'mine', access: 'authenticated' } },
    };
    const objects = await render([valuesFile({ config, tests: { channel: 'mine' } })]);
    const pod = await startPod(objects, { natsUrl: nats.url });
    await ready(pod);
    const refused = await helmTest(objects, pod);
    expect(refused.isOk).toBe(false);
    expect(refused.text).toContain('401');
    // The ops port is no bridge, and the bridge's has no /readyz.
    const swapped = await helmTest(objects, { opsPort: pod.opsPort, httpPort: pod.opsPort });
    expect(swapped.text).toContain('is not Sidestream');
    expect((await helmTest(objects, { opsPort: pod.httpPort, httpPort: pod.httpPort })).text).toContain(
      '/readyz',
    );
  });
});
