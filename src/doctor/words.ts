/** What is shorter would be found everywhere, and is no secret. In UTF-16 units. */
export const MIN_SECRET_LENGTH = 6;
/** Longest text of somebody else's that is shown, in UTF-16 units. */
const MAX_FOREIGN_LENGTH = 80;

/** Milliseconds as people read them: `4 ms`, `850 ms`, `2.0 s`, `75 s`. */
export function span(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 20_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}

/** `1 stream`, `3 streams`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Controls, what turns the direction of text around or has no width, and halves of surrogate pairs. */
const UNPRINTABLE = /[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]|\p{Surrogate}/gu;

/** Text without what a terminal would obey. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, '?');
}

/** What a server said, to be shown: short and printable. */
export function foreign(text: string): string {
  const plain = printable(text);
  return plain.length > MAX_FOREIGN_LENGTH ? `${plain.slice(0, MAX_FOREIGN_LENGTH)}…` : plain;
}

/** Takes every secret out of a text, as it is and percent-encoded: a server may say back what it was sent. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of secrets)
    for (const form of new Set([secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]))
      if (form !== '') clean = withoutBeginning(clean.replaceAll(form, '***'), form);
  return clean;
}

/** The same of what {@link foreign} has left of a secret: its beginning, before the ellipsis. */
function withoutBeginning(text: string, secret: string): string {
  const parts = text.split('…');
  const last = parts.pop() ?? '';
  return [...parts.map((part) => withoutEnd(part, secret)), last].join('…');
}

function withoutEnd(part: string, secret: string): string {
  for (let length = Math.min(part.length, secret.length); length >= MIN_SECRET_LENGTH; length -= 1)
    if (part.endsWith(secret.slice(0, length))) return `${part.slice(0, -length)}***`;
  return part;
}
