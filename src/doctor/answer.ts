import type { Readable } from 'node:stream';
import type { Clock } from '../clock.ts';
import { type Ask, exchange, type Head } from './exchange.ts';

/** A whole answer, or as much of it as is kept. */
export interface Answer extends Head {
  /** Text of up to {@link MAX_BODY_BYTES}. */
  readonly body: string;
  /** From asking to the last byte, in milliseconds. */
  readonly tookMs: number;
}

/** Of an answer that is to be read as a whole; more of it is not read. */
export const MAX_BODY_BYTES = 64 * 1024;

/** Asks for something that is answered at once; the code of a failure where none came within `patienceMs`. */
export async function answerTo(ask: Ask, clock: Clock, patienceMs: number): Promise<Answer | string> {
  const startMs = clock.now();
  return new Promise((resolve) => {
    let head: Head | undefined;
    let body = '';
    const settle = (code: string) => {
      clearTimeout(timer);
      sent.abort();
      resolve(head === undefined ? code : { ...head, body, tookMs: clock.now() - startMs });
    };
    const sent = exchange(ask, {
      head: (received, readable) => {
        head = received;
        keep(readable, (text) => {
          body += text;
          if (body.length >= MAX_BODY_BYTES) settle('');
        });
      },
      end: ({ code = 'CUT' }) => settle(code),
    });
    const timer = setTimeout(() => settle('TIMEOUT'), patienceMs);
  });
}

/** Hands on the text of a body, up to {@link MAX_BODY_BYTES}. */
export function keep(body: Readable, take: (text: string) => void): void {
  let kept = 0;
  body.on('error', () => undefined);
  body.on('data', (bytes: Buffer) => {
    if (kept < MAX_BODY_BYTES) take(bytes.toString('utf8', 0, MAX_BODY_BYTES - kept));
    kept += bytes.length;
  });
}
