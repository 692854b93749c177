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
