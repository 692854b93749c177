import { type IncomingMessage, type RequestOptions, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';

export interface DownloadOptions {
  readonly url: URL;
  /** For the whole of it, from the look-up of the host to the last byte. */
  readonly timeoutMs: number;
  /** Counted as it arrives: a Content-Length proves nothing. */
  readonly maxBytes: number;
  /** PEM: the authorities to believe instead of the well-known ones. */
  readonly ca?: string | undefined;
  /** Gives it up. */
  readonly signal: AbortSignal;
}

const OK = 200;

/**
 * Gets a small JSON text. node:https rather than fetch: it follows no redirect, takes an authority of its own, and
 * leaves no pooled connection behind.
 * @throws Error saying what went wrong; nothing of the answer's body stands in it
 */
export async function download({ url, timeoutMs, maxBytes, ca, signal }: DownloadOptions): Promise<string> {
  const controller = new AbortController();
  const abort = () => controller.abort(signal.reason);
  const timer = setTimeout(() => controller.abort(new Error(`took longer than ${timeoutMs} ms`)), timeoutMs);
  signal.addEventListener('abort', abort, { once: true });
  let response: IncomingMessage | undefined;
  try {
    signal.throwIfAborted();
    response = await respond(url, { ca, signal: controller.signal });
    if (response.statusCode !== OK) throw new Error(describe(response));
    return await read(response, maxBytes);
  } catch (error) {
    // The abort's own error says no more than that there was one.
    throw controller.signal.aborted ? controller.signal.reason : error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
    response?.destroy();
  }
}

/** Resolves with the head of the answer. */
function respond(
  url: URL,
  options: RequestOptions & { readonly ca: string | undefined },
): Promise<IncomingMessage> {
  const request = url.protocol === 'https:' ? requestHttps : requestHttp;
  const headers = { accept: 'application/jwk-set+json, application/json', 'user-agent': 'sidestream' };
  return new Promise((resolve, reject) => {
    // `agent: false`: a connection of its own, closed afterwards. The listeners stay: a late error finds its handler.
    request(url, { ...options, headers, agent: false })
      .on('response', resolve)
      .on('error', reject)
      .end();
  });
}

async function read(response: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    if (!(chunk instanceof Uint8Array)) throw new TypeError('a response without an encoding set gives bytes');
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw new Error(`is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
}

function describe({ statusCode = 0 }: IncomingMessage): string {
  const isRedirect = statusCode >= 300 && statusCode < 400;
  return isRedirect ? `answered ${statusCode}; redirects are not followed` : `answered ${statusCode}`;
}
