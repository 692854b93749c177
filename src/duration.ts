/** Milliseconds of each unit in which durations are written: the config's, of messages, requests and calls. */
export const DURATION_UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const;

const DURATION = /^(\d+)(ms|s|m|h|d)$/;

/** `250ms`, `15s`, `10m`, `1h`, `2d` → milliseconds; `undefined` for text of another form. */
export function durationMs(text: string): number | undefined {
  const [, digits, unit] = DURATION.exec(text) ?? [];
  return digits === undefined
    ? undefined
    : Number(digits) * DURATION_UNITS[unit as keyof typeof DURATION_UNITS];
}
