import { errors, MsgHdrsImpl, type NatsConnection, NatsConnectionImpl } from '@nats-io/transport-node';

/**
 * Most lines of headers that are read, and most bytes: the client looks each name up among all before it, so that a block of
 * 58 kB with 10,000 names took 1.8 s, in which nobody is served, and one of 1 MB would take minutes. 128 lines take 0.1 ms.
 */
const MAX_HEADER_LINES = 128;
const MAX_HEADER_BYTES = 65_536;
const LINE_FEED = 0x0a;

let isLimited = false;

/** Has the client take a block of headers that is longer than anybody needs for malformed, which is provided for wherever headers are read. */
export function limitHeaders(): void {
  if (isLimited) return;
  isLimited = true;
  const decode = MsgHdrsImpl.decode.bind(MsgHdrsImpl);
  MsgHdrsImpl.decode = (block) => {
    if (isLong(block)) throw errors.InvalidArgumentError.format('headers', 'are too many or too long');
    return decode(block);
  };
}

function isLong(block: Uint8Array): boolean {
  if (block.length > MAX_HEADER_BYTES) return true;
  // Its first line and the blank one are none of them.
  let left = MAX_HEADER_LINES + 2;
  for (let at = block.indexOf(LINE_FEED); at >= 0 && left >= 0; at = block.indexOf(LINE_FEED, at + 1))
    left -= 1;
  return left < 0;
}

/**
 * Keeps what any callback throws from the client's read loop, which would end: nothing would be received any more, and nothing said,
 * until pings have gone unanswered. Ours do not throw; the client's own do where somebody answers a request, or writes to the
 * inbox of a consumer, with headers that are malformed or missing.
 */
export function guardReadLoop(connection: NatsConnection, failed: (error: unknown) => void): void {
  if (!(connection instanceof NatsConnectionImpl)) return;
  const { protocol } = connection;
  const pass = protocol.processMsg.bind(protocol);
  protocol.processMsg = (message, data) => {
    try {
      pass(message, data);
    } catch (error) {
      failed(error);
    }
  };
}
