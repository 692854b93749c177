/** What a page of a listing takes at most, in bytes: with what is around it, it fits into one NATS message (`max_payload`, 1 MiB), and is written in a millisecond. */
export const MAX_PAGE_BYTES = 512 * 1024;

/** As many of the first as fit into so many bytes, and one at least. */
export function fitting<T>(
  items: readonly T[],
  bytesOf: (item: T) => number,
  maxBytes = MAX_PAGE_BYTES,
): readonly T[] {
  let bytes = 0;
  const end = items.findIndex((item, index) => {
    bytes += bytesOf(item);
    return bytes > maxBytes && index > 0;
  });
  return end < 0 ? items : items.slice(0, end);
}
