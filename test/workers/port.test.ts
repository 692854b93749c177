import { createServer } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import type { HostPort } from '../../src/config/schema.ts';
import { type HeldPort, holdPort } from '../../src/workers/port.ts';

const ANY = { host: '127.0.0.1', port: 0 };

async function hold(address: HostPort): Promise<HeldPort> {
  const held = await holdPort(address);
  onTestFinished(() => held.release());
  return held;
}

it('a port 0 is a free one, which others may listen on while it is held', async () => {
  const { address } = await hold(ANY);
  expect(address.port).toBeGreaterThan(0);
  const server = createServer();
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address, resolve);
  });
});

it.runIf(process.platform === 'linux')(
  'a port is held by one, though nobody listens on it yet, until it is let go; other ports by others',
  async () => {
    const first = await hold(ANY);
    await hold(ANY);
    await expect(hold(first.address)).rejects.toMatchObject({ code: 'LISTEN_FAILED' });
    await first.release();
    expect((await hold(first.address)).address).toEqual(first.address);
  },
);
