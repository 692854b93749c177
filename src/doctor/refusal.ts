import { REFUSAL_CODES } from '../reasons.ts';
import { isObject, readObject } from './control-event.ts';
import type { Stream } from './stream.ts';

/** Why no stream was given, by one of Sidestream's own codes; `undefined` where none is said, as where somebody else answered. */
export function refusalOf({
  head,
  close,
  body,
}: Pick<Stream, 'head' | 'close' | 'body'>): string | undefined {
  if (head === undefined) return undefined;
  if (close?.reason === 'overloaded') return known(close.code);
  const { error } = readObject(body);
  return known(isObject(error) ? error.code : undefined);
}

/** What the code means, as the documentation has it. */
export function meaningOf(code: string): string {
  return Object.entries(REFUSAL_CODES).find(([name]) => name === code)?.[1] ?? '';
}

/** Why a stream that was asked for besides the first is not there, for who reads of it. */
export function whyNot(stream: Stream): string {
  const code = refusalOf(stream);
  if (code !== undefined) return `refused with ${code}: ${meaningOf(code)}`;
  // One that has begun says so, unless it was told to say nothing.
  if (stream.isStream && stream.ending === undefined)
    return 'the stream came without sidestream.open; see the check first-bytes';
  if (stream.head !== undefined) return `the answer was ${stream.head.status}, and no event stream`;
  return stream.ending === undefined
    ? 'no answer came'
    : `no answer came (${stream.ending.code ?? 'cut off'})`;
}

function known(code: unknown): string | undefined {
  return typeof code === 'string' && Object.hasOwn(REFUSAL_CODES, code) ? code : undefined;
}
