import { createServer } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { freePort } from '../support/ports.ts';
import { HOSTS, startScene } from './bridges.ts';
import { ask } from './client.ts';
import { missing } from './proxy.ts';
import { streamsPass } from './streams.ts';
import { ENVOY } from './table.ts';
import { troubleIsSurvived } from './trouble.ts';

streamsPass(ENVOY);
troubleIsSurvived(ENVOY);

/** On each address of a bridge somebody who says that it is not ready when first asked, and from then on that it is; gives the port. */
async function startReadiness(): Promise<number> {
  const port = await freePort(...HOSTS);
  for (const host of HOSTS) {
    let status = 503;
    const server = createServer((_, response) => {
      response.writeHead(status).end();
      status = 200;
    });
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    await new Promise<void>((resolve) => server.listen(port, host, resolve));
  }
  return port;
}

describe.skipIf(missing(ENVOY) !== undefined)('Envoy', () => {
  // By default it looks again after a minute, until it has passed something on: which it cannot, without a bridge that is ready.
  it('sends bridges streams as soon as they are ready, though they were not when it started', async () => {
    const { proxy } = await startScene(ENVOY, { healthPort: await startReadiness() });
    const answer = await ask(proxy, '/events/prices.ACME');
    expect(answer.status).toBe(200);
    await answer.next('sidestream.open');
  });
});
