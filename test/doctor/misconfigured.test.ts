import { describe, expect, it } from 'vitest';
import { noNginx } from '../support/nginx.ts';
import { examined, those } from './examined.ts';
import { startPath } from './misconfigured.ts';

/** nginx buffers, whatever the bridge asks. */
const BUFFERING = 'proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;';

describe.skipIf(noNginx !== undefined)('behind a real nginx', () => {
  it('finds nothing wrong where nothing is: over TLS and HTTP/2', async () => {
    const origin = 'https://app.example.com';
    const { bridge, url, ca } = await startPath(
      { isTls: true, listen: 'ssl http2', location: 'proxy_set_header X-Forwarded-For $remote_addr;' },
      {
        http: { cors: { origins: [origin] }, trustedProxies: ['127.0.0.1'] },
        sse: { compression: ['gzip'] },
      },
    );
    const trust = { insecure: false, ca };
    const found = await examined(url, { ops: bridge, trust, headers: { origin }, idleMs: 5000 });
    expect(those(found, 'problem')).toEqual([]);
    // Of two days from its making to its end: one that is new is not about to run out.
    expect(found.tls).toMatchObject({ verdict: 'ok', values: { daysLeft: 1 } });
    // This Node may not know zstd.
    expect(those(found, 'unmeasured').filter((id) => id !== 'zstd')).toEqual(['drain']);
    expect(found['http-version'].measured).toBe('HTTP/2');
    expect(found.headers.measured).toContain('server nginx');
    expect(found.gzip.measured).toContain('compressed by the bridge');
    expect(found.events.values).toMatchObject({ sent: 5, held: 0 });
    expect(found.streams.values).toMatchObject({ asked: 7, opened: 7 });
  });

  it('sees that the head is held back over TLS, though the bridge is there, and names the setting', async () => {
    const { url, ca } = await startPath({ isTls: true, listen: 'ssl', location: BUFFERING });
    const found = await examined(url, { trust: { insecure: false, ca }, patienceMs: 1500 });
    expect(those(found, 'problem')).toEqual(['first-bytes']);
    expect(found['first-bytes'].measured).toContain('a long poll to the same URL was answered');
    expect(found.answer.verdict).toBe('unmeasured');
  });

  it('sees that what nginx compresses is held back, though the same stream uncompressed is not', async () => {
    const location = `${BUFFERING} gzip on; gzip_types text/event-stream;`;
    const { url, bridge } = await startPath({ location });
    const found = await examined(url, { ops: bridge, patienceMs: 3000 });
    expect(those(found, 'problem')).toEqual(['gzip']);
    expect(found.gzip.remedy).toContain('gzip_types');
  });

  it('tells who compresses: nginx, and not the bridge', async () => {
    const gzip = 'gzip on; gzip_types text/event-stream; proxy_buffering off;';
    const { url, bridge } = await startPath({ location: gzip });
    const found = await examined(url, { ops: bridge });
    expect(found.gzip).toMatchObject({ verdict: 'warning', values: { contentEncoding: 'gzip' } });
    expect(found.gzip.measured).toContain('not by the bridge');
    // By its first bytes alone, where nobody can be asked.
    expect((await examined(url)).gzip.measured).toContain('not by the bridge');
  });

  it('sees that a quiet stream is cut off after the time that nginx gives it', async () => {
    const { url } = await startPath(
      { location: 'proxy_read_timeout 1s;' },
      { sse: { heartbeat: '1h', retry: '100ms' } },
    );
    const found = await examined(url, { idleMs: 3000 });
    expect(those(found, 'problem')).toEqual(['idle']);
    expect(found.idle.measured).toContain('cut off');
    expect(found.idle.values?.ended).toBeGreaterThan(1);
    expect(found.idle.remedy).toContain('proxy_read_timeout');
  });

  it('warns where browsers get HTTP/1.1 only, over TLS too', async () => {
    const { url, ca } = await startPath({ isTls: true, listen: 'ssl' });
    const found = await examined(url, { trust: { insecure: false, ca } });
    expect(found['http-version']).toMatchObject({ verdict: 'warning', values: { protocol: 'http/1.1' } });
    expect(found['http-version'].remedy).toContain('http2');
    expect(those(found, 'problem')).toEqual([]);
  });

  it('sends nothing to whom it does not trust, unless it is told to', async () => {
    const { url, bridge } = await startPath({ isTls: true, listen: 'ssl http2' });
    const found = await examined(url, { headers: { authorization: 'Bearer secret' } });
    expect(those(found, 'problem')).toEqual(['tls']);
    expect(found.answer.verdict).toBe('unmeasured');
    expect(await bridge.sample('sidestream_connections_opened_total')).toBe(0);
    const trusting = await examined(url, { trust: { insecure: true } });
    expect(trusting.tls.verdict).toBe('warning');
    expect(trusting.answer.verdict).toBe('ok');
  });

  it('sees that Last-Event-ID is taken away', async () => {
    const { url } = await startPath({ location: 'proxy_set_header Last-Event-ID "";' });
    const found = await examined(url);
    expect(those(found, 'problem')).toEqual(['resume']);
    expect(found.resume.measured).toContain('though ?lastEventId= does');
  });

  it('sees that the bridge takes the proxy for every client', async () => {
    const { url, bridge } = await startPath({ location: 'proxy_bind 127.0.0.9;' });
    const found = await examined(url, { ops: bridge });
    expect(found.address).toMatchObject({ verdict: 'warning', values: { seen: '127.0.0.9' } });
  });

  it('sees that anybody may pretend to be somebody else', async () => {
    const { url, bridge } = await startPath({}, { http: { trustedProxies: ['127.0.0.1'] } });
    const found = await examined(url, { ops: bridge });
    expect(found.address.verdict).toBe('problem');
    expect(found.address.measured).toContain('forged');
  });

  it('explains a proxy that speaks HTTP/1.0 to the bridge', async () => {
    const { url } = await startPath({ version: '1.0' });
    const found = await examined(url);
    expect(found.answer).toMatchObject({ verdict: 'problem', values: { status: 505 } });
    expect(found.answer.remedy).toContain('proxy_http_version 1.1');
  });

  it('explains a proxy that sends it elsewhere, rewrites what matters, or adds CORS headers of its own', async () => {
    const redirected = await startPath({ location: 'return 302 https://other.example/events?token=abc;' });
    const { answer } = await examined(redirected.url);
    expect(answer).toMatchObject({ verdict: 'problem', values: { status: 302 } });
    expect(answer.measured).toContain('https://other.example/events');
    expect(answer.measured).not.toContain('abc');

    const hidden = 'proxy_hide_header Cache-Control; add_header Cache-Control "max-age=60";';
    const { headers } = await examined((await startPath({ location: hidden })).url);
    expect(headers.verdict).toBe('warning');
    expect(headers.measured).toContain('no-transform');

    const origin = 'https://app.example.com';
    const doubled = await startPath(
      { location: `add_header Access-Control-Allow-Origin ${origin} always;` },
      { http: { cors: { origins: [origin] } } },
    );
    expect((await examined(doubled.url, { headers: { origin } })).cors).toMatchObject({ verdict: 'problem' });
  });
});
