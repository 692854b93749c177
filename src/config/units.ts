/**
 * Durations, sizes, rates and ranges as people write them in the config. Inside the program only numbers exist, with
 * their unit in their name; each `parse…` gives `undefined` for text that is not of its form.
 */

import { DURATION_UNITS } from '../duration.ts';

const SIZE_UNITS = {
  GiB: 1024 ** 3,
  MiB: 1024 ** 2,
  KiB: 1024,
  GB: 1000 ** 3,
  MB: 1000 ** 2,
  KB: 1000,
  B: 1,
} as const;
/** How many of the unit's rates make one a second: `60/m` is `1/s`. */
const RATE_UNITS = { s: 1, m: 60, h: 3600 } as const;

/** Patterns in the dialect that JavaScript and JSON Schema share. `0` is the same in every unit and needs none. */
export const DURATION_PATTERN = '^([0-9]+(ms|s|m|h|d)|0)$';
export const SIZE_PATTERN = '^([0-9]+(B|KiB|MiB|GiB|KB|MB|GB)|0)$';
export const RATE_PATTERN = '^([0-9]+/(s|m|h)|0)$';
export const RANGE_PATTERN = '^[0-9]+(ms|s|m|h|d)(\\.\\.[0-9]+(ms|s|m|h|d))?$';

export interface DurationRange {
  /** Milliseconds. */
  readonly min: number;
  /** Milliseconds; not necessarily above `min`: the reader of the range says what is wrong with it. */
  readonly max: number;
}

/** `250ms`, `15s`, `10m`, `1h`, `2d` or `0` → milliseconds. */
export function parseDuration(text: string): number | undefined {
  return parseScaled(text, /^(\d+)(ms|s|m|h|d)$/, DURATION_UNITS);
}

/** Milliseconds, a whole number → the shortest exact text: 90000 → `90s`, 0 → `0s`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  return formatScaled(ms, DURATION_UNITS);
}

/** `512B`, `256KiB`, `1MiB`, `1GiB`, also `KB`, `MB`, `GB` as powers of 1000, or `0` → bytes. */
export function parseSize(text: string): number | undefined {
  return parseScaled(text, /^(\d+)([KMG]i?B|B)$/, SIZE_UNITS);
}

/** Bytes, a whole number → the shortest exact text: 262144 → `256KiB`. */
export function formatSize(bytes: number): string {
  if (bytes === 0) return '0B';
  return formatScaled(bytes, SIZE_UNITS);
}

/** `2000/s`, `600/m`, `60/h` or `0` → how many a second; may be a fraction. */
export function parseRate(text: string): number | undefined {
  if (text === '0') return 0;
  const [, digits, unit] = /^(\d+)\/([smh])$/.exec(text) ?? [];
  if (digits === undefined || !isUnit(unit, RATE_UNITS)) return undefined;
  const count = Number(digits);
  return Number.isSafeInteger(count) ? count / RATE_UNITS[unit] : undefined;
}

/** How many a second → text in the first unit in which it is a whole number: 0.5 → `30/m`. */
export function formatRate(perSecond: number): string {
  for (const [unit, scale] of Object.entries(RATE_UNITS)) {
    const count = Math.round(perSecond * scale);
    if (count / scale === perSecond) return `${count}/${unit}`;
  }
  return `${perSecond}/s`;
}

/** `3s..10s`, or `5s` for a range of one → milliseconds. */
export function parseRange(text: string): DurationRange | undefined {
  const [first, second, ...rest] = text.split('..');
  if (first === undefined || rest.length > 0) return undefined;
  const min = parseDuration(first);
  const max = second === undefined ? min : parseDuration(second);
  return min === undefined || max === undefined ? undefined : { min, max };
}

export function formatRange(range: DurationRange): string {
  const min = formatDuration(range.min);
  return range.min === range.max ? min : `${min}..${formatDuration(range.max)}`;
}

function parseScaled(
  text: string,
  form: RegExp,
  units: Readonly<Record<string, number>>,
): number | undefined {
  if (text === '0') return 0;
  const [, digits, unit] = form.exec(text) ?? [];
  if (digits === undefined || !isUnit(unit, units)) return undefined;
  const scaled = Number(digits) * (units[unit] ?? Number.NaN);
  return Number.isSafeInteger(scaled) ? scaled : undefined;
}

/** Takes the units in the order given and keeps the shortest text, so that 1000 bytes are `1KB` and not `1000B`. */
function formatScaled(value: number, units: Readonly<Record<string, number>>): string {
  const exact = Object.entries(units).filter(([, scale]) => value % scale === 0);
  const texts = exact.map(([unit, scale]) => `${value / scale}${unit}`);
  return texts.reduce((best, text) => (text.length < best.length ? text : best), texts[0] ?? String(value));
}

function isUnit<U extends Readonly<Record<string, number>>>(
  unit: string | undefined,
  units: U,
): unit is keyof U & string {
  return unit !== undefined && Object.hasOwn(units, unit);
}
