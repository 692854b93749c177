import type { StreamConfig } from '@nats-io/jetstream';

/** `filter_subjects` came with this version. */
const MULTIPLE_FILTERS: readonly [number, number] = [2, 10];

/** A subject template as NATS knows it: `market.{symbol}.>` → `market.*.>`. */
export function toFilter(template: string): string {
  return template.replaceAll(/\{[^{}]*\}/g, '*');
}

/**
 * The filters under which one consumer gets what these subjects match, none of them overlapping another, since
 * nats-server refuses a consumer whose filters do; none at all means the whole stream.
 */
export function filtersOf(subjects: readonly string[]): readonly string[] {
  const distinct = [...new Set(subjects)];
  const widest = distinct.filter(
    (subject) => !distinct.some((other) => other !== subject && covers(other, subject)),
  );
  const isOverlapping = widest.some((subject, index) =>
    widest.slice(index + 1).some((other) => overlaps(subject, other)),
  );
  return isOverlapping || widest.includes('>') ? [] : widest;
}

/**
 * The filters of a consumer that gets what `filters` match, whatever the stream comes to store: a filter left out because
 * nothing is stored under it now would miss what is from the next edit of the stream on, without a word. None at all: the
 * whole stream, since a filter that lets everything pass still costs the server a look at each message; `undefined`: the
 * same, since the server cannot have several.
 */
export function filtersFor(
  config: Pick<StreamConfig, StoringKey>,
  filters: readonly string[],
  serverVersion: string,
): readonly string[] | undefined {
  if (storedBy(config).every((subject) => filters.some((filter) => covers(filter, subject)))) return [];
  const needed = filtersOf(filters);
  return needed.length < 2 || isAtLeast(serverVersion, MULTIPLE_FILTERS) ? needed : undefined;
}

/** Those that a stream stores nothing of, as it is now. */
export function unstoredBy(
  config: Pick<StreamConfig, StoringKey>,
  filters: readonly string[],
): readonly string[] {
  return filters.filter((filter) => !storedBy(config).some((subject) => overlaps(filter, subject)));
}

type StoringKey = 'subjects' | 'mirror' | 'sources' | 'subject_transform';

/** Text that is another one when a stream stores something else. */
export function storageOf({
  subjects,
  mirror,
  sources,
  subject_transform,
}: Pick<StreamConfig, StoringKey>): string {
  return JSON.stringify([subjects, mirror, sources, subject_transform]);
}

/** What a mirror, a source or a transformation stores under is not in `subjects`. */
function storedBy(config: Pick<StreamConfig, StoringKey>): readonly string[] {
  const { subjects, mirror, sources, subject_transform } = config;
  const isPlain = mirror === undefined && sources === undefined && subject_transform === undefined;
  return isPlain ? (subjects ?? []) : ['>'];
}

function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [ownMajor = 0, ownMinor = 0] = version.split('.').map(Number);
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}

/** Whether some subject matches both. */
export function overlaps(a: string, b: string): boolean {
  const [left, right] = [a.split('.'), b.split('.')];
  for (let i = 0; i < Math.max(left.length, right.length); i += 1) {
    const [l, r] = [left[i], right[i]];
    if (l === undefined || r === undefined) return false;
    if (l === '>' || r === '>') return true;
    if (l !== r && l !== '*' && r !== '*') return false;
  }
  return true;
}

/** Whether `wide` matches all that `narrow` matches. */
export function covers(wide: string, narrow: string): boolean {
  const [left, right] = [wide.split('.'), narrow.split('.')];
  for (let i = 0; i < Math.max(left.length, right.length); i += 1) {
    const [l, r] = [left[i], right[i]];
    if (l === undefined || r === undefined) return false;
    if (l === '>') return true;
    if (r === '>' || (l !== '*' && l !== r)) return false;
  }
  return true;
}
