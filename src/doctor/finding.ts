/**
 * Every check, with what it asks. `docs/doctor.md` has a section for each, which a test holds; the ids are public: scripts read
 * them in `--json`. A report has them in this order.
 */
export const CHECKS = {
  connect: 'Does the name resolve, and does the port take connections?',
  tls: 'Does a browser trust the certificate, and for how long?',
  'http-version': 'Does the browser get HTTP/2, and with it more than six streams?',
  answer: 'Is the answer an event stream?',
  headers: 'Do the headers arrive that keep others from buffering, caching and compressing?',
  cors: 'May a page of that origin read it?',
  'first-bytes': 'Does the stream begin at once?',
  events: 'Does each event arrive as it is sent?',
  heartbeats: 'Does each heartbeat arrive as it is sent?',
  gzip: 'Does each event arrive as it is sent to who takes gzip?',
  br: 'Does each event arrive as it is sent to who takes Brotli?',
  zstd: 'Does each event arrive as it is sent to who takes zstd?',
  idle: 'Does a quiet stream stay open, and if not, who ends it?',
  streams: 'Do as many streams as asked for open at once?',
  resume: 'Does the cursor of a client that comes back arrive?',
  address: 'Does the bridge see the client’s address, and nobody else’s word for it?',
  drain: 'When an instance drains, is the client told, and how soon is it back?',
} as const;

export type CheckId = keyof typeof CHECKS;

export const CHECK_IDS = Object.keys(CHECKS) as readonly CheckId[];

/** `unmeasured` says nothing of the path: what was needed for it is missing. */
export type Verdict = 'ok' | 'warning' | 'problem' | 'unmeasured';

export type Values = Readonly<Record<string, number | string | boolean>>;

/** What one check found. */
export interface Finding {
  readonly id: CheckId;
  readonly verdict: Verdict;
  /** What was measured, with its numbers; of what was not measured, why. One line, for people. */
  readonly measured: string;
  /** What to change. */
  readonly remedy?: string;
  /** The numbers, for machines; names carry units. */
  readonly values?: Values;
}

export function ok(id: CheckId, measured: string, values?: Values): Finding {
  return { id, verdict: 'ok', measured, ...(values !== undefined && { values }) };
}

export function warning(id: CheckId, measured: string, remedy: string, values?: Values): Finding {
  return { id, verdict: 'warning', measured, remedy, ...(values !== undefined && { values }) };
}

export function problem(id: CheckId, measured: string, remedy: string, values?: Values): Finding {
  return { id, verdict: 'problem', measured, remedy, ...(values !== undefined && { values }) };
}

export function unmeasured(id: CheckId, why: string): Finding {
  return { id, verdict: 'unmeasured', measured: why };
}

/** What is wrong: how bad, what was measured, what to change. */
export type Fault = readonly [verdict: 'warning' | 'problem', measured: string, remedy: string];

/** The fault, or where there is none, that all is well and what was measured. */
export function judged(id: CheckId, fault: Fault | undefined, fine: string, values: Values): Finding {
  if (fault === undefined) return ok(id, fine, values);
  const [verdict, measured, remedy] = fault;
  return { id, verdict, measured, remedy, values };
}
