/** Longest text of a call that is logged, in UTF-16 units. */
const MAX_LENGTH = 128;
/** Most values of a list that are logged. */
const MAX_VALUES = 10;
/** Control characters, which may drive a terminal, and those that turn the direction of writing. */
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** Text that somebody outside chose, fit for a log line and for a header. */
export function printable(text: string): string {
  const clean = text.slice(0, MAX_LENGTH).replace(UNSAFE, '\ufffd');
  return text.length > MAX_LENGTH ? `${clean}…` : clean;
}

/** The same of whatever a call is about; what is `undefined` is left out. */
export function printableFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const kept = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(kept.map(([name, value]) => [name, printableValue(value)]));
}

function printableValue(value: unknown): unknown {
  if (typeof value === 'string') return printable(value);
  if (Array.isArray(value)) {
    const shown = value.slice(0, MAX_VALUES).map(printableValue);
    return value.length > MAX_VALUES ? [...shown, `and ${value.length - MAX_VALUES} more`] : shown;
  }
  return typeof value === 'object' && value !== null ? printable(JSON.stringify(value)) : value;
}
