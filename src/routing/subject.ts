/**
 * NATS subjects: tokens joined by dots; `*` stands for one token, a trailing `>` for one or more.
 * Source: NATS documentation, "Subject-Based Messaging".
 */

/** What may stand in one concrete token: no white space, no control character, no wildcard, no dot. */
const TOKEN = /^[^\s.*>\u0000-\u001f\u007f]+$/;

/** Longest subject we subscribe to, in characters; nats-server's own line limit is 4096 bytes. */
export const MAX_SUBJECT_LENGTH = 1024;

/** Why `subject` cannot be subscribed to, or `undefined` when it can. Wildcards are allowed. */
export function subjectProblem(subject: string): string | undefined {
  if (subject === '') return 'is empty';
  if (subject.length > MAX_SUBJECT_LENGTH) return `is longer than ${MAX_SUBJECT_LENGTH} characters`;
  const tokens = subject.split('.');
  for (const [index, token] of tokens.entries()) {
    if (token === '') return 'has an empty token (a dot too many)';
    if (token === '*') continue;
    if (token === '>') {
      if (index === tokens.length - 1) continue;
      return 'has `>` before its last token';
    }
    if (!TOKEN.test(token))
      return `has the token ${JSON.stringify(token)} with white space or a wildcard inside it`;
  }
  return undefined;
}
