import type { z } from 'zod';
import { type HostPort, parseHostPort, parseServiceUrl } from './addresses.ts';
import { type Form, type ValueOptions, value } from './keys.ts';
import { Misread } from './misread.ts';
import { closest } from './spelling.ts';
import {
  DURATION_PATTERN,
  type DurationRange,
  parseDuration,
  parseRange,
  parseRate,
  parseSize,
  RANGE_PATTERN,
  RATE_PATTERN,
  SIZE_PATTERN,
} from './units.ts';

/** The kinds of value that keys have. Each says what it expects and reads it; absence is dealt with outside. */

/** The longest duration of any key: below 2^31-1 ms, beyond which Node's timers fire at once (Node.js docs, `setTimeout`). */
export const LONGEST_DURATION = '24d';

/** Matches whatever is not clearly a URL without credentials and query, either of which may hold a secret. */
const NO_PLAIN_URL = '^(?!https?://([A-Za-z0-9.-]+|\\[[0-9A-Fa-f:.]*\\])(:[0-9]*)?(/[^?#@\\s]*)?$)';

interface Bounds {
  /** In the unit's own text, as it is shown. */
  readonly min: string;
  readonly max: string;
  /** What zero means, where zero is allowed besides the bounds. */
  readonly zero?: string;
}

export function duration(options: ValueOptions & Bounds): z.ZodType<number, unknown> {
  const kind = {
    noun: 'duration',
    example: '15s',
    fix: (n: number) => `durations need a unit: ${n}s or ${n}ms`,
  };
  return measure('duration', { ...kind, parse: parseDuration, pattern: DURATION_PATTERN }, options);
}

export function size(options: ValueOptions & Bounds): z.ZodType<number, unknown> {
  const kind = { noun: 'size', example: '256KiB', fix: (n: number) => `sizes need a unit: ${n}B or ${n}KiB` };
  return measure('size', { ...kind, parse: parseSize, pattern: SIZE_PATTERN }, options);
}

export function rate(options: ValueOptions & Bounds): z.ZodType<number, unknown> {
  const kind = { noun: 'rate', example: '2000/s', fix: (n: number) => `rates need a unit: ${n}/s or ${n}/m` };
  return measure('rate', { ...kind, parse: parseRate, pattern: RATE_PATTERN }, options);
}

/** `3s..10s`, or one duration for both ends. */
export function durationRange(options: ValueOptions & Bounds): z.ZodType<DurationRange, unknown> {
  const { min, max, zero: _, ...doc } = options;
  const [least, most] = [parseDuration(min) ?? 0, parseDuration(max) ?? 0];
  return value(
    {
      form: 'range',
      type: `range of durations, ${min} to ${max}`,
      json: { type: 'string', pattern: RANGE_PATTERN },
      expected: `a range of durations like 3s..10s, from ${min} to ${max}`,
      read(input) {
        if (typeof input === 'number') return new Misread(`durations need a unit: ${input}s`);
        const range = typeof input === 'string' ? parseRange(input) : undefined;
        if (range === undefined) return new Misread();
        if (range.min > range.max) return new Misread('the first must not be longer than the second');
        return range.min < least || range.max > most ? new Misread() : range;
      },
    },
    doc,
  );
}

interface Measure {
  readonly noun: string;
  readonly example: string;
  readonly pattern: string;
  fix(bare: number): string;
  parse(text: string): number | undefined;
}

function measure(form: Form, unit: Measure, options: ValueOptions & Bounds): z.ZodType<number, unknown> {
  const { min, max, zero, ...doc } = options;
  const [least, most] = [unit.parse(min) ?? 0, unit.parse(max) ?? 0];
  const bounds = `${min} to ${max}${zero === undefined ? '' : `, or 0 for ${zero}`}`;
  return value(
    {
      form,
      type: `${unit.noun}, ${bounds}`,
      json: { anyOf: [{ type: 'string', pattern: unit.pattern }, { const: 0 }] },
      expected: `a ${unit.noun} like ${unit.example}, from ${bounds}`,
      read(input) {
        if (typeof input === 'number' && input !== 0) return new Misread(unit.fix(input));
        const amount = typeof input === 'string' || input === 0 ? unit.parse(String(input)) : undefined;
        if (amount === undefined) return new Misread();
        if (amount === 0 && zero !== undefined) return amount;
        return amount < least || amount > most ? new Misread() : amount;
      },
    },
    doc,
  );
}

export function count(
  options: ValueOptions & { readonly min: number; readonly max: number; readonly zero?: string },
): z.ZodType<number, unknown> {
  const { min, max, zero, ...doc } = options;
  const bounds = `${min} to ${max}${zero === undefined ? '' : `, or 0 for ${zero}`}`;
  return value(
    {
      form: 'count',
      type: `whole number, ${bounds}`,
      json: { type: 'integer', minimum: zero === undefined ? min : 0, maximum: max },
      expected: `a whole number like ${Math.max(min, 16)}, from ${bounds}`,
      read(input) {
        if (typeof input !== 'number' || !Number.isInteger(input)) return new Misread();
        if (input === 0 && zero !== undefined) return input;
        return input < min || input > max ? new Misread() : input;
      },
    },
    doc,
  );
}

export function flag(options: ValueOptions): z.ZodType<boolean, unknown> {
  return value(
    {
      form: 'flag',
      type: 'true or false',
      json: { type: 'boolean' },
      expected: 'true or false',
      read(input) {
        if (typeof input === 'boolean') return input;
        // YAML 1.1 took these for booleans; 1.2 does not.
        const word = typeof input === 'string' ? input.toLowerCase() : '';
        if (['yes', 'on'].includes(word)) return new Misread('write true');
        return new Misread(['no', 'off'].includes(word) ? 'write false' : undefined);
      },
    },
    options,
  );
}

export function choice<const T extends string>(
  choices: readonly T[],
  options: ValueOptions,
): z.ZodType<T, unknown> {
  const text = choices.join(', ').replace(/, ([^,]*)$/, ' or $1');
  return value(
    {
      form: 'choice',
      type: choices.map((choice) => `\`${choice}\``).join(', '),
      json: { enum: choices },
      expected: text,
      read(input) {
        const found = choices.find((choice) => choice === input);
        if (found !== undefined) return found;
        const meant = typeof input === 'string' ? closest(input, choices) : undefined;
        return new Misread(meant === undefined ? undefined : `did you mean ${meant}?`);
      },
    },
    options,
  );
}

/** Text; where a `pattern` is given, of that form. */
export function text(
  options: ValueOptions & { readonly type?: string; readonly expected: string; readonly pattern?: string },
): z.ZodType<string, unknown> {
  const { type = 'text', expected, pattern, ...doc } = options;
  const form = new RegExp(pattern ?? '^[^\\u0000-\\u001f\\u007f]+$');
  return value(
    {
      form: 'text',
      type,
      json: { type: 'string', ...(pattern === undefined ? { minLength: 1 } : { pattern }) },
      expected,
      read(input) {
        if (typeof input === 'string') return form.test(input) ? input : new Misread();
        const scalar = typeof input === 'number' || typeof input === 'boolean';
        return new Misread(scalar ? `put it in quotes: "${input}"` : undefined);
      },
    },
    doc,
  );
}

/** A path to a file that must be there and readable. */
export function file(options: ValueOptions & { readonly content?: 'secret' }): z.ZodType<string, unknown> {
  const { content, ...doc } = options;
  return value(
    {
      form: content === 'secret' ? 'secret-file' : 'file',
      type: 'file',
      json: { type: 'string', minLength: 1 },
      expected: 'the path of a file',
      read: (input) =>
        typeof input === 'string' && input !== '' && !input.includes('\0') ? input : new Misread(),
    },
    doc,
  );
}

/** A concrete NATS subject of up to 256 characters. */
export function subject(options: ValueOptions): z.ZodType<string, unknown> {
  const pattern = '^(?!.{257})[^\\s.*>\\u0000-\\u001f\\u007f]+(\\.[^\\s.*>\\u0000-\\u001f\\u007f]+)*$';
  return text({ type: 'subject', expected: 'a subject without wildcards', pattern, ...options });
}

/** A service on the web, or on this very machine. */
export function serviceUrl(options: ValueOptions): z.ZodType<string, unknown> {
  return value(
    {
      form: 'text',
      type: 'URL',
      json: { type: 'string', pattern: '^https?://[^@]+$' },
      expected: 'a URL like https://id.example.com/path, https:// and without credentials',
      read: parseServiceUrl,
    },
    { ...options, secret: NO_PLAIN_URL },
  );
}

/** Where to listen; a port alone keeps `defaultHost`. */
export function hostPort(defaultHost: string, options: ValueOptions): z.ZodType<HostPort, unknown> {
  return value(
    {
      form: 'text',
      type: 'address:port',
      json: { type: ['string', 'integer'] },
      expected: 'an address and port like 0.0.0.0:8080, :8080 or 8080',
      read: (input) => parseHostPort(input, defaultHost),
    },
    options,
  );
}
