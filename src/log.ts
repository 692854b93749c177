import { type Logger, pino } from 'pino';

export type { Logger };

export interface LogOptions {
  readonly level: string;
  /** `json`: one JSON object a line. `text`: for people at a terminal. */
  readonly format: 'json' | 'text';
}

/** Where log lines go; the process gives it standard output, tests their own. */
export interface LogDestination {
  write(line: string): void;
}

/** One line per life event. Never a payload, a query string or a secret: nobody passes them here. */
export function createLog({ level, format }: LogOptions, destination: LogDestination): Logger {
  const lines =
    format === 'json' ? destination : { write: (line: string) => destination.write(toText(line)) };
  const options = {
    level,
    base: null,
    messageKey: 'message',
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(options, lines);
}

/** `12:30:01.123 INFO  listening host="0.0.0.0" port=8080` */
function toText(line: string): string {
  const { level, time, message, ...fields }: Record<string, unknown> = JSON.parse(line);
  const pairs = Object.entries(fields).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`);
  return `${String(time).slice(11, 23)} ${String(level).toUpperCase().padEnd(5)} ${message}${pairs.join('')}\n`;
}

/** A kind of complaint is logged at most this often, in milliseconds. */
const COMPLAINT_INTERVAL_MS = 10_000;

/** Log lines that somebody outside can bring about as often as they like: of each kind one per interval, with `heldBack`. */
export class Complaints {
  readonly #log: Logger;
  readonly #clock: { now(): number };
  readonly #throttle: Throttle;

  constructor(log: Logger, clock: { now(): number }, intervalMs = COMPLAINT_INTERVAL_MS) {
    this.#log = log;
    this.#clock = clock;
    this.#throttle = new Throttle(intervalMs);
  }

  warn(kind: string, fields: object, text: string): void {
    this.#say('warn', kind, fields, text);
  }

  error(kind: string, fields: object, text: string): void {
    this.#say('error', kind, fields, text);
  }

  #say(level: 'warn' | 'error', kind: string, fields: object, text: string): void {
    const heldBack = this.#throttle.pass(kind, this.#clock.now());
    if (heldBack !== undefined) this.#log[level]({ ...fields, heldBack }, text);
  }
}

/** Lets a kind of line through once per interval, and says then how many were held back. */
export class Throttle {
  readonly #intervalMs: number;
  readonly #seen = new Map<string, { untilMs: number; heldBack: number }>();

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** How many lines of this kind were held back since the last one, or `undefined` where this one is held back too. */
  pass(kind: string, nowMs: number): number | undefined {
    const last = this.#seen.get(kind);
    if (last !== undefined && nowMs < last.untilMs) {
      last.heldBack += 1;
      return undefined;
    }
    this.#seen.set(kind, { untilMs: nowMs + this.#intervalMs, heldBack: 0 });
    return last?.heldBack ?? 0;
  }
}
