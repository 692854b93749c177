import type { ArchiveRange } from '../hub/source.ts';
import { countFrom, type StreamReaderOptions } from './stream-reader.ts';

/** So many more than are wanted are read rather than looked for the place where the wanted ones begin. */
const SPARE = 500;
/** Requests to find that place: enough to halve any stream down to one message. */
const MAX_PROBES = 40;

/**
 * Where to begin reading so that at least the newest messages come that a range wants, and not many more; absent where
 * the beginning will do. From `first` on there are `count` messages.
 * @throws Error of the NATS client
 */
export async function narrow(
  reading: StreamReaderOptions,
  { from, limit, through }: ArchiveRange,
  first: number,
  count: number,
): Promise<number | undefined> {
  const wanted = from.kind === 'last' ? Math.min(from.count, limit) : limit;
  const most = wanted * 2 + SPARE;
  // Of the newest of each subject there is no count from somewhere on.
  if (count <= most || from.kind === 'values') return undefined;
  const beyond = await countFrom(reading, through + 1);
  let [low, high, lowCount, highCount] = [first, through + 1, count - beyond, 0];
  if (lowCount <= most) return undefined;
  for (let i = 0; i < MAX_PROBES && high - low > 1; i += 1) {
    // Evenly spread, it is found at once; halving now and then finds it however it is spread.
    const share = i % 2 === 0 ? (lowCount - wanted * 1.5) / Math.max(lowCount - highCount, 1) : 0.5;
    const offset = Math.min(Math.max(low + Math.floor((high - low) * share), low + 1), high - 1);
    const found = (await countFrom(reading, offset)) - beyond;
    if (found >= wanted && found <= most) return offset;
    if (found > most) [low, lowCount] = [offset, found];
    else [high, highCount] = [offset, found];
  }
  return low;
}
