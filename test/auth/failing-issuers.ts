import { generateKeyPairSync } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import type { JwksServer } from './jwks-server.ts';
import { JWKS } from './tokens.ts';

const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
/** A set that would be taken, did it come as it should. */
const GOOD = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'good' }] });

/** How an issuer's web server can fail, at once or by never being done. */
export const FAILURES: Record<string, (server: JwksServer) => void> = {
  'cuts the connection': (server) => {
    server.respond = (request) => void request.socket.destroy();
  },
  'cuts the answer': (server) => {
    server.respond = (_, response) => {
      response.writeHead(200, { 'content-length': 1000 }).write('{"keys":[');
      response.socket?.end();
    };
  },
  'never answers': (server) => {
    server.respond = () => {};
  },
  'never ends its answer': (server) => {
    server.respond = (_, response) => void response.writeHead(200).write('{"keys":[');
  },
  'drips without end': (server) => {
    server.respond = (_, response) => {
      const timer = setInterval(() => response.write(' '), 5);
      response.on('close', () => clearInterval(timer));
    };
  },
  'streams without end': (server) => {
    server.respond = (_, response) => pour(response);
  },
  'sends more than the bound': (server) => {
    server.answer(GOOD.padEnd(JWKS.maxBytes + 1));
  },
  'is not found': (server) => server.answer(GOOD, 404),
  'has an error': (server) => server.answer(GOOD, 500),
  'has nothing to say': (server) => server.answer('', 204),
  'answers a page': (server) => server.answer('<!doctype html>'),
  'answers bytes that are no UTF-8': (server) => {
    server.respond = (_, response) => void response.end(Buffer.from('{"keys":["\xff"]}', 'latin1'));
  },
  'compresses unasked': (server) => {
    const headers = { 'content-encoding': 'gzip' };
    server.respond = (_, response) => void response.writeHead(200, headers).end(gzipSync(GOOD));
  },
  'answers no object': (server) => server.answer('null'),
  'answers an object without keys': (server) => server.answer('{}'),
  'answers keys that are no array': (server) => server.answer('{"keys":{"length":1}}'),
  'sends HTTP that is none': (server) => {
    server.respond = (request) => void request.socket.end('what?\r\n\r\n');
  },
};

/** Sends for as long as somebody reads. */
export function pour(response: ServerResponse): void {
  const chunk = ' '.repeat(16 * 1024);
  const go = () => {
    while (!response.destroyed && response.write(chunk)) {
      // Until the socket is full; `drain` goes on.
    }
  };
  response.on('drain', go);
  go();
}
