import { readFileSync } from 'node:fs';
import { constants, createSecureServer, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { selfSigned } from '../support/certificate.ts';
import { examined, type Findings } from './examined.ts';
import { listen, startRaw, startStandIn } from './stand-in.ts';

const PATIENCE = { patienceMs: 1000, idleMs: 300, streams: 2 };
const STREAM = { 'Content-Type': 'text/event-stream' };
const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n';
const OPEN =
  'retry: 1000\nid: a.1\nevent: sidestream.open\ndata: {"connection":"c","channels":[{"channel":"a","resume":"live","replayed":0}]}\n\n';

/** Writes the same again and again, as fast as it is taken, until the other side has had enough. */
function pour(socket: Socket, text: string | Buffer): void {
  const more = () => {
    while (!socket.destroyed && socket.write(text));
  };
  socket.on('drain', more);
  more();
}

function verdicts(findings: Findings): string[] {
  return Object.values(findings).map(({ verdict }) => verdict);
}

describe('a server that means ill', () => {
  it.each([
    ['says nothing', () => undefined],
    ['closes at once', (socket: Socket) => void socket.destroy()],
    [
      'speaks another protocol',
      (socket: Socket) =>
        void socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
    ],
    ['is no HTTP', (socket: Socket) => void socket.end('SSH-2.0-OpenSSH_9.2\r\n')],
    [
      'sends a head without end',
      (socket: Socket) => {
        socket.write(HEAD);
        pour(socket, `X-More: ${'x'.repeat(1000)}\r\n`);
      },
    ],
    [
      'sends a head byte by byte',
      (socket: Socket) => {
        const timer = setInterval(() => socket.write('x'), 20);
        socket.once('close', () => clearInterval(timer));
      },
    ],
    [
      'sends informational answers without end',
      (socket: Socket) => pour(socket, 'HTTP/1.1 103 Early Hints\r\n\r\n'),
    ],
  ])('is found out where it %s', async (_, answer) => {
    const found = await examined(await startRaw(answer), PATIENCE);
    expect(verdicts(found)).toContain('problem');
    expect(found.idle.verdict).toBe('unmeasured');
  });

  it('is judged by its head where it sends a body without end', async () => {
    const url = await startRaw((socket) => {
      socket.write('HTTP/1.1 500 Oh\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n');
      pour(socket, 'x'.repeat(65_536));
    });
    const found = await examined(url, PATIENCE);
    expect(found.answer).toMatchObject({ verdict: 'problem', values: { status: 500 } });
  });

  it.each([
    ['one line without end', 'x'.repeat(65_536)],
    ['data without end', `data: ${'x'.repeat(1000)}\n`],
    ['nothing but ends of lines', '\n'.repeat(65_536)],
    ['comments without end', ':\n'.repeat(30_000)],
    ['events without end', 'data: x\n\n'.repeat(5000)],
    ['bytes that are no text', Buffer.alloc(65_536, 0xff)],
  ])('cannot take memory or time where the stream is %s', async (_, text) => {
    const url = await startRaw((socket) => {
      socket.write(`${HEAD}Connection: close\r\n\r\n${OPEN}`);
      pour(socket, text);
    });
    const before = process.memoryUsage().heapUsed;
    const found = await examined(url, PATIENCE);
    expect(found.answer.verdict).toBe('ok');
    expect(found.idle.verdict).toBe('ok');
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(200 * 1024 * 1024);
  });

  it('is found out where what it compresses is cut, garbled, a bomb or of an unknown coding', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    const bodies: Record<string, { readonly coding: string; readonly body: Buffer }> = {
      identity: { coding: 'identity', body: Buffer.from(OPEN) },
      gzip: { coding: 'gzip', body: bomb },
      br: { coding: 'br', body: brotliCompressSync(OPEN).subarray(0, 20).fill(0x55, 10) },
      zstd: { coding: 'magic', body: Buffer.from(OPEN) },
    };
    const url = await startStandIn(({ headers }, response) => {
      const { coding = '', body = '' } = bodies[`${headers['accept-encoding']}`] ?? {};
      response.writeHead(200, { ...STREAM, 'Content-Encoding': coding });
      response.write(body);
    });
    const found = await examined(url, PATIENCE);
    expect([found.gzip.verdict, found.br.verdict]).toEqual(['problem', 'problem']);
    expect(['problem', 'unmeasured']).toContain(found.zstd.verdict);
    expect(found.idle.verdict).toBe('ok');
  });

  it('is taken by its word for nothing: control events of any shape', async () => {
    const data = [
      'null',
      '[]',
      '7',
      '{"connection":{},"channels":{"a":1}}',
      '{"channels":[null,7,{"resume":{}}]}',
      '{',
    ];
    const judged = await Promise.all(
      data.map(async (text) => {
        const url = await startStandIn((_, response) => {
          response
            .writeHead(200, STREAM)
            .write(`retry: 99999999999999999999\nevent: sidestream.open\ndata: ${text}\n\n`);
          response.write(`event: sidestream.close\ndata: ${text}\n\n`);
        });
        return (await examined(url, { ...PATIENCE, streams: 0 })).answer.verdict;
      }),
    );
    expect(judged).toEqual(data.map(() => 'ok'));
  });

  it.each([
    ['of other letters', '\u2713\u00e9', 'recovered'],
    ['that no header may hold', 'a\u0001b', 'unmeasured'],
    ['of a length that no head has room for', 'a'.repeat(60_000), 'unmeasured'],
  ])(
    'gets back a cursor %s as a browser would bring it, or is told that it cannot',
    async (_, id, outcome) => {
      const url = await startStandIn(({ headers }, response) => {
        const brought = Buffer.from(`${headers['last-event-id'] ?? ''}`, 'latin1').toString();
        const resume = brought === id ? 'recovered' : 'live';
        const data = JSON.stringify({ connection: 'c', channels: [{ channel: 'a', resume, replayed: 0 }] });
        response
          .writeHead(200, STREAM)
          .write(`retry: 1000\nid: ${id}\nevent: sidestream.open\ndata: ${data}\n\n`);
      });
      const { resume } = await examined(url, { ...PATIENCE, streams: 0 });
      if (outcome === 'recovered')
        expect(resume).toMatchObject({ verdict: 'ok', measured: expect.stringMatching('recovered') });
      else expect(resume.verdict).toBe('unmeasured');
    },
  );

  it.each([0x1b, 0x9b, 0x00, 0x7f])('cannot write to the terminal: a header with byte %d', async (byte) => {
    const url = await startRaw((socket) => {
      const evil = Buffer.from(
        `Location: https://x.example/?[31m\r\nServer: a?[31m\r\n`.replaceAll('?', '\0'),
      );
      socket.write('HTTP/1.1 307 Evil\r\n');
      socket.end(Buffer.concat([evil.map((each) => (each === 0 ? byte : each)), Buffer.from('\r\n')]));
    });
    const found = await examined(url, PATIENCE);
    expect(found.answer.verdict).toBe('problem');
    for (const { measured, remedy = '' } of Object.values(found))
      expect(`${measured}${remedy}`).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
  });

  it.each([
    ['resets the stream', (stream: ServerHttp2Stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR)],
    ['ends the stream', (stream: ServerHttp2Stream) => void stream.end()],
    ['drops the connection', (stream: ServerHttp2Stream) => stream.session?.destroy()],
  ])('may break off over HTTP/2 as it likes: it %s', async (_, breakOff) => {
    const certificate = selfSigned();
    const server = createSecureServer({ cert: certificate.cert, key: readFileSync(certificate.keyFile) });
    onTestFinished(() => void server.close());
    server.on('stream', (stream) => {
      stream.on('error', () => undefined);
      stream.respond({ ':status': 200, 'content-type': 'text/event-stream' });
      stream.write(OPEN.replace('retry: 1000', 'retry: 10'));
      setTimeout(() => breakOff(stream), 100);
    });
    const url = `https://127.0.0.1:${await listen(server)}`;
    const found = await examined(url, {
      ...PATIENCE,
      patienceMs: 5000,
      idleMs: 5000,
      streams: 0,
      trust: { insecure: false, ca: certificate.cert },
    });
    expect(found['http-version'].measured).toBe('HTTP/2');
    expect(found.idle.verdict).toBe('problem');
  });
});
