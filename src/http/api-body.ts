import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiRefusal } from './api-refusal.ts';

/** How long a body may take to come, in milliseconds. */
const BODY_TIMEOUT_MS = 10_000;

/** JSON has one encoding (RFC 8259 8.1); a `charset` is nothing that the media type knows, but many send it. */
const JSON_TYPE = /^application\/json *(; *charset="?utf-8"? *)?$/i;

export interface BodyBounds {
  readonly maxBytes: number;
  /** Default: {@link BODY_TIMEOUT_MS}. */
  readonly timeoutMs?: number | undefined;
}

/**
 * The body of a request; what is beyond the bound is not kept. Rejects with `undefined` where the client has gone.
 * @throws ApiRefusal CONTROL_MEDIA_TYPE, CONTROL_TOO_LARGE, CONTROL_TIMEOUT
 */
export async function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  { maxBytes, timeoutMs = BODY_TIMEOUT_MS }: BodyBounds,
): Promise<Uint8Array> {
  const { headers } = request;
  const type = headers['content-type'];
  if (type !== undefined && !JSON_TYPE.test(type))
    throw new ApiRefusal('CONTROL_MEDIA_TYPE', 'the body must be JSON: Content-Type: application/json');
  if ((headers['content-encoding'] ?? 'identity') !== 'identity')
    throw new ApiRefusal('CONTROL_MEDIA_TYPE', 'the body must not be compressed');
  if (Number(headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  if (headers.expect !== undefined) response.writeContinue();
  return collect(request, maxBytes, timeoutMs);
}

function collect(request: IncomingMessage, maxBytes: number, timeoutMs: number): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  return new Promise((resolve, reject) => {
    const settle = (how: () => void) => {
      clearTimeout(timer);
      request.removeAllListeners('data').pause();
      how();
    };
    const timer = setTimeout(() => {
      settle(() => reject(tooSlow(timeoutMs)));
    }, timeoutMs);
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxBytes) settle(() => reject(tooLarge(maxBytes)));
      else chunks.push(chunk);
    });
    request.once('end', () => settle(() => resolve(Buffer.concat(chunks))));
    request.once('error', () => settle(() => reject(undefined)));
    request.once('close', () => settle(() => reject(undefined)));
  });
}

// Who is slow is not waited for any longer, though little may be left.
function tooSlow(timeoutMs: number): ApiRefusal {
  const message = `the body did not come within ${timeoutMs} ms`;
  return new ApiRefusal('CONTROL_TIMEOUT', message, { Connection: 'close' });
}

function tooLarge(maxBytes: number): ApiRefusal {
  return new ApiRefusal('CONTROL_TOO_LARGE', `the body is longer than the ${maxBytes} bytes that are read`);
}
