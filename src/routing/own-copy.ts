import { createHash } from 'node:crypto';

/** Longest name that is kept as it is, in UTF-16 code units. */
const MAX_NAME_LENGTH = 64;

/**
 * The same text, in memory of its own. A part that JavaScript takes from a text is a view into it, as is what it joins: whoever
 * keeps an id of ten characters would keep the payload of a megabyte that it was read from.
 */
export function ownCopy(text: string): string {
  return Buffer.from(text, 'utf16le').toString('utf16le');
}

/** What stands for a text where only its being the same counts: itself, or its hash where it is long. Keeps nothing else alive. */
export function keptName(text: string): string {
  if (text.length <= MAX_NAME_LENGTH) return ownCopy(text);
  // No name of that length is the hash of another, as far as anybody knows.
  return `sha256 ${createHash('sha256').update(text, 'utf16le').digest('base64')}`;
}
