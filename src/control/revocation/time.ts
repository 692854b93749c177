/** 9999-12-31T23:59:59Z, the last second of RFC 3339. What is larger is mostly milliseconds. */
const MAX_SECONDS = 253_402_300_799;
/** RFC 3339 5.6, date-time. Its leap second (`:60`) is left out: Unix time has none. */
const DATE_TIME = /^(\d{4})-(\d\d)-(\d\d)T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/i;

/**
 * Reads a time that a backend wrote, as seconds since the Unix epoch or in the form of RFC 3339, to milliseconds since the
 * epoch. `undefined`: it is neither.
 */
export function readTime(value: unknown): number | undefined {
  if (typeof value === 'number') return value >= 0 && value <= MAX_SECONDS ? value * 1000 : undefined;
  const [text, year, month, day] = typeof value === 'string' ? (DATE_TIME.exec(value) ?? []) : [];
  if (text === undefined || Number(day) > daysIn(Number(year), Number(month))) return undefined;
  const ms = Date.parse(text.toUpperCase());
  return ms >= 0 ? ms : undefined;
}

// `Date.parse` takes the 31st of February for the 3rd of March.
function daysIn(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}
