import { randomUUID } from 'node:crypto';
import type { ReadEvent } from './event-reader.ts';
import type { Ops } from './ops.ts';
import type { Path } from './path.ts';
import type { Stream } from './stream.ts';

/** Sizes of the events, in bytes: small ones are what buffers hold, a larger one is compressed where small ones are stored. */
const SIZES = [60, 60, 2000, 60, 60];
/** How long one may take before the next is sent, to see whether that one pushes it on. */
const PATIENCE_MS = 5000;
/** When so many did not come, it is clear. */
const ENOUGH_HELD = 2;

/** In place of a code of the control plane. */
export const STREAM_ENDED = 'STREAM_ENDED';

/** What became of events that were sent one by one, each after the one before had come. */
export interface Marked {
  readonly sent: number;
  /** From asking the control plane until it was here, in milliseconds; of those that came before the next was sent. */
  readonly latenciesMs: readonly number[];
  /** Those that came behind their time, or not at all. */
  readonly held: number;
  /** Why the control plane sent none; its code. */
  readonly failure?: string;
}

/** Events of our own on one stream. */
export class Marks {
  readonly #run = `sidestream-doctor ${randomUUID()}`;

  /** For the stream to know them by. */
  readonly markOf = ({ data }: ReadEvent): number | undefined => {
    if (!data.startsWith(this.#run)) return undefined;
    const [, digits] = /^ (\d{1,3}) /.exec(data.slice(this.#run.length)) ?? [];
    return digits === undefined ? undefined : Number(digits);
  };

  async send(ops: Ops, connection: string, path: Path, stream: Stream): Promise<Marked> {
    const latenciesMs: number[] = [];
    const patienceMs = Math.min(PATIENCE_MS, path.patienceMs);
    let sent = 0;
    const result = () => ({ sent, latenciesMs, held: sent - latenciesMs.length });
    for (const [n, size] of SIZES.entries()) {
      const sentMs = path.clock.now();
      const outcome = await ops.send(connection, `${this.#run} ${n} `.padEnd(size, 'x'));
      if (!outcome.ok) return { ...result(), failure: outcome.code };
      const atMs = await stream.until(({ marks }) => marks.get(n), patienceMs);
      // What went with the stream was not held back.
      if (atMs === undefined && stream.ending !== undefined) return { ...result(), failure: STREAM_ENDED };
      sent += 1;
      if (atMs !== undefined) latenciesMs.push(atMs - sentMs);
      if (result().held >= ENOUGH_HELD) break;
    }
    return result();
  }
}
