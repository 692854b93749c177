/** Why an inbox does not answer, or nothing was marked as read. Public: answers carry the code. docs/inbox.md lists the same; a test holds the two together. */
export const INBOX_CODES = {
  INBOX_INVALID: 'A parameter or a field is missing, unknown, of the wrong type or out of range.',
  INBOX_POSITION:
    'The id is no position of this inbox: it is of another channel or stream, or of a stream that was made anew since, or nothing has come so far.',
  INBOX_FULL: 'More is read singly than is remembered: 1,000. Read up to a position first.',
  INBOX_UNAVAILABLE: 'JetStream, the stream or the bucket of what was read does not answer.',
} as const;

export type InboxCode = keyof typeof INBOX_CODES;

/** Why a call on an inbox is refused. The message is for who called. */
export class InboxRefusal extends Error {
  readonly code: InboxCode;

  constructor(code: InboxCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
