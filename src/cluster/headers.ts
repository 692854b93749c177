/** What is used of a message of the NATS client. */
interface Headed {
  /** May throw where the block is malformed: the client parses it only when it is asked for. */
  readonly headers?: { get(name: string): string } | undefined;
}

/** Reads a message's headers by name; empty where there is none. A block that is malformed counts as none, for a throw would end the client's read loop. */
export function headersOf(message: Headed): (name: string) => string {
  let headers: Headed['headers'];
  try {
    headers = message.headers;
  } catch {
    // InvalidArgumentError
  }
  return (name) => headers?.get(name) ?? '';
}
