import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { startBridge } from '../support/bridge.ts';
import { findProgram, startChild } from '../support/child.ts';
import { temporaryFolder } from '../support/folder.ts';
import { startNats } from '../support/nats-server.ts';
import { NGINX_ARGS, NGINX_PLACES, noNginx } from '../support/nginx.ts';
import { accepts, freePort } from '../support/ports.ts';
import { startPublisher } from '../support/publisher.ts';
import { request } from '../support/stream-client.ts';
import { blocks } from './transcript.ts';

const PAGE = readFileSync(new URL('../../docs/migration.md', import.meta.url), 'utf8');
const CHANNELS = { topics: { channel: '{topic}', subject: 'topics.{topic}', access: 'public' } };
/** As Nchan makes them: seconds and a number. */
const NCHAN_ID = '1763700000:0';

/** nginx with the location of the page that leads the old address to the new server, and what is to stand in it besides. */
async function startOldAddress(upstreamPort: number, more = ''): Promise<number> {
  const location = blocks(PAGE, 'nginx').find((text) => text.includes('proxy_pass')) ?? '';
  const here = location
    .replace('127.0.0.1:8080', `127.0.0.1:${upstreamPort}`)
    .replace(/\n\}/, `\n${more}\n}`);
  const port = await freePort();
  const folder = temporaryFolder();
  const server = `server { listen 127.0.0.1:${port}; ${here} }`;
  const text = `error_log stderr; events {} http { access_log off; ${NGINX_PLACES} ${server} }`;
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, text);
  const program = findProgram('NGINX_BIN', 'nginx') ?? 'nginx';
  const nginx = startChild(program, { args: ['-p', folder, '-c', file, ...NGINX_ARGS] });
  await nginx.ready('nginx to listen', () => accepts(port));
  return port;
}

it.skipIf(noNginx !== undefined)(
  'an address of Nchan’s leads to the new server, and an id of Nchan’s is as the page says',
  async () => {
    const nats = await startNats();
    const bridge = await startBridge({ nats, config: { channels: CHANNELS } });
    const headers = { 'Last-Event-ID': NCHAN_ID };
    const refusing = await startOldAddress(bridge.httpPort);
    const refused = await request({ port: refusing, target: '/sub/news', headers });
    expect(refused.status).toBe(400);

    const port = await startOldAddress(bridge.httpPort, 'proxy_set_header Last-Event-ID "";');
    const stream = await request({ port, target: '/sub/news', headers });
    const open: { channels: unknown } = JSON.parse((await stream.next('sidestream.open')).data);
    expect(open.channels).toEqual([{ channel: 'news', resume: 'live', replayed: 0 }]);
    await (await startPublisher(nats)).publish('topics.news', 'new');
    expect((await stream.next()).data).toBe('new');
  },
);
