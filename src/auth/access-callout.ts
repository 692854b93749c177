import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { AuthConfig } from '../config/schema.ts';
import { Complaints } from '../log.ts';
import { Failed, malformed } from './answer.ts';
import { type CalloutDeps, type CalloutLimits, put } from './callout.ts';
import type { Identity, TokenRequest } from './identity.ts';
import { Service, ServiceCounts } from './service.ts';

export interface AccessCalloutOptions extends CalloutLimits {
  readonly cache: AuthConfig['access']['cache'];
}

/** May they listen here? Answered by `{"allow":true}` or `{"allow":false}`. docs/callouts.md shows backends. */
export interface SubscribeQuestion {
  readonly version: 1;
  readonly kind: 'subscribe';
  readonly channel: string;
  /** Of the checked token; `null` where the request brought none. */
  readonly claims: Readonly<Record<string, unknown>> | null;
  readonly address: string;
}

/** `unavailable` says nothing about the channel: the request is refused as overload. */
export type Access = 'allow' | 'deny' | 'unavailable';

interface Answer {
  readonly access: Exclude<Access, 'unavailable'>;
}

/** Asks backends over NATS, channel by channel, who may listen. Each subject has its own places: one dead backend stops no other. */
export class AccessCallouts {
  /** Of all subjects together; the log names the one that fails. */
  readonly counts: ServiceCounts;
  readonly #options: AccessCalloutOptions;
  readonly #deps: CalloutDeps;
  readonly #services = new Map<string, Service<Answer>>();
  readonly #known: Answers | undefined;
  readonly #complaints: Complaints;

  constructor(options: AccessCalloutOptions, deps: CalloutDeps, counts = new ServiceCounts()) {
    this.counts = counts;
    this.#options = options;
    this.#deps = deps;
    this.#complaints = new Complaints(deps.log, deps.clock);
    const { allowTtlMs, denyTtlMs } = options.cache;
    this.#known = allowTtlMs > 0 || denyTtlMs > 0 ? new Answers(options.cache, deps.clock) : undefined;
  }

  /** Answers remembered, those included whose time is over. */
  get remembered(): number {
    return this.#known?.size ?? 0;
  }

  /** Whether the backend on `subject` allows it. Never rejects. Equal questions at the same time are asked once. */
  async ask(
    subject: string,
    identity: Identity | undefined,
    channel: string,
    { address, trace }: Pick<TokenRequest, 'address' | 'trace'>,
  ): Promise<Access> {
    const claims = identity?.claims ?? null;
    const question: SubscribeQuestion = { version: 1, kind: 'subscribe', channel, claims, address };
    // The question is its own key: whatever the answer may depend on is in it.
    const text = this.#write(question);
    if (text === undefined) return 'deny';
    const key = this.#known === undefined ? '' : hash(subject, text);
    const known = this.#known?.get(key);
    if (known !== undefined) return known;
    const answer = await this.#serviceOf(subject).ask(text, async () =>
      toAnswer(await put({ subject, question: text, trace }, this.#options, this.#deps)),
    );
    // A fault says nothing about the channel: it is never remembered.
    if (answer instanceof Failed) return 'unavailable';
    this.#known?.keep(key, answer.access);
    return answer.access;
  }

  #write(question: SubscribeQuestion): string | undefined {
    try {
      return JSON.stringify(question);
    } catch {
      // RangeError: claims nested too deeply for JSON.stringify, though not for JSON.parse.
      const text = 'claims are nested too deeply to ask an access callout; they are allowed nothing';
      this.#complaints.warn('unwritable', {}, text);
      return undefined;
    }
  }

  #serviceOf(subject: string): Service<Answer> {
    const known = this.#services.get(subject);
    if (known !== undefined) return known;
    const service = new Service<Answer>(`access callout ${subject}`, this.#options, this.#deps, this.counts);
    this.#services.set(subject, service);
    return service;
  }
}

/** What was answered a moment ago, by the question's hash: claims are not kept a second time. Over the bound the oldest gives way. */
class Answers {
  readonly #options: AccessCalloutOptions['cache'];
  readonly #clock: Pick<Clock, 'now'>;
  readonly #entries = new Map<string, Answer & { readonly untilMs: number }>();

  constructor(options: AccessCalloutOptions['cache'], clock: Pick<Clock, 'now'>) {
    this.#options = options;
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Answer['access'] | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.untilMs > this.#clock.now()) return entry.access;
    this.#entries.delete(key);
    return undefined;
  }

  keep(key: string, access: Answer['access']): void {
    const { size, allowTtlMs, denyTtlMs } = this.#options;
    const ttlMs = access === 'allow' ? allowTtlMs : denyTtlMs;
    if (ttlMs === 0) return;
    this.#entries.set(key, { access, untilMs: this.#clock.now() + ttlMs });
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > size && oldest !== undefined) this.#entries.delete(oldest);
  }
}

// A subject holds no line feed, and neither does JSON: no two questions are the same text.
function hash(subject: string, question: string): string {
  return createHash('sha256').update(`${subject}\n${question}`).digest('base64');
}

function toAnswer(answer: Readonly<Record<string, unknown>> | Failed): Answer | Failed {
  if (answer instanceof Failed) return answer;
  if (typeof answer.allow !== 'boolean') return malformed('`allow` is neither true nor false');
  return { access: answer.allow ? 'allow' : 'deny' };
}
