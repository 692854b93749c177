import { type JetStreamManager, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Book } from './book.ts';
import { NOISE, STREAMS } from './topology.ts';

/**
 * Reads every stream from its beginning and compares it with the books; gives what differs. Where it does, it is not the
 * bridges' fault: no client can be judged by what the stream itself lost or stored twice.
 */
export async function compareWithStreams(
  connection: NatsConnection,
  jsm: JetStreamManager,
  books: readonly Book[],
): Promise<string[]> {
  const differences: string[] = [];
  for (const stream of STREAMS) {
    const its = books.filter(({ spec }) => spec.stream === stream);
    const held = new Map(its.map((book) => [book, new Set<number>()]));
    const { state } = await jsm.streams.info(stream);
    for await (const { subject, offset } of read(connection, stream, state.messages)) {
      if (subject === NOISE) continue;
      const book = its.find(({ spec }) => subject.startsWith(spec.subject));
      const number = book?.numberAt(offset);
      if (book === undefined || number === undefined || held.get(book)?.has(number))
        differences.push(`${stream} has at ${offset} what was not published`);
      else held.get(book)?.add(number);
    }
    for (const [book, numbers] of held) differences.push(...missing(book, numbers, state.first_seq));
  }
  return differences;
}

function missing(book: Book, numbers: ReadonlySet<number>, firstOffset: number): string[] {
  const { name, debt } = book.spec;
  const gone: number[] = [];
  for (let number = 1; number <= book.stored; number += 1) {
    const isOwed =
      debt === 'values' ? !book.isSuperseded(number) : (book.offsetOf(number) ?? 0) >= firstOffset;
    if (isOwed && !numbers.has(number)) gone.push(number);
  }
  return gone.length === 0 ? [] : [`the stream of ${name} lost the publications ${gone.slice(0, 20).join()}`];
}

async function* read(
  connection: NatsConnection,
  stream: string,
  count: number,
): AsyncGenerator<{ readonly subject: string; readonly offset: number }> {
  if (count === 0) return;
  const consumer = await jetstream(connection).consumers.get(stream);
  const messages = await consumer.consume();
  for await (const { subject, seq, info } of messages) {
    yield { subject, offset: seq };
    if (info.pending === 0) break;
  }
  await messages.close();
}
