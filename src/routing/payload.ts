import type { RouteConfig } from '../config/schema.ts';
import { isJson } from './json.ts';
import { type Field, type FieldName, JsonWalk, Place } from './json-walk.ts';
import { Redaction } from './redaction.ts';

/**
 * What a payload holds that its route asks for. A field is `null` where it should be there and cannot be used. `id` and `key`
 * are as they came, to tell events apart by; `shownId` may be sent. They may be views into the payload.
 */
export interface Reading extends Readonly<Partial<Record<FieldName, Field>>> {
  /** What may be kept and sent. */
  readonly text: string;
  readonly isRedacted: boolean;
  readonly isJson: boolean;
}

/** Reads payloads as one route asks: takes out what nobody may see, and finds what names the event. Each is parsed once. */
export class PayloadReader {
  readonly #root = new Place();
  readonly #redaction: Redaction;
  readonly #fields: readonly FieldName[];
  readonly #isHiding: boolean;

  constructor({ redact, map, latestBy }: Pick<RouteConfig, 'redact' | 'map' | 'latestBy'>) {
    const key = latestBy === 'subject' ? undefined : latestBy.pointer;
    const shownId = map.id;
    const fields = Object.entries({ ...map, ...(shownId && { shownId }), ...(key && { key }) }) as [
      FieldName,
      readonly string[],
    ][];
    this.#fields = fields.map(([name]) => name);
    for (const [name, pointer] of fields) this.#root.at(pointer).fields.push(name);
    for (const rule of redact)
      if (rule.kind === 'pointer') this.#root.at(rule.pointer).replacement ??= rule.replacement;
    this.#redaction = new Redaction(redact);
    this.#isHiding = redact.some(({ kind }) => kind === 'pointer');
  }

  /** `undefined` where nobody can tell what of it may be seen: it is not JSON, and pointers say what may not. */
  read(text: string): Reading | undefined {
    if (isJson(text)) {
      const { fields, redacted } = new JsonWalk(text, this.#root, this.#redaction);
      return { ...fields, text: redacted, isRedacted: redacted !== text, isJson: true };
    }
    // Nothing can be hidden in nothing.
    if (this.#isHiding && text !== '') return undefined;
    const unusable = Object.fromEntries(this.#fields.map((name) => [name, null]));
    const shown = this.#redaction.text(text);
    return { ...unusable, text: shown, isRedacted: shown !== text, isJson: isJson(shown) };
  }
}

/** What reads the payloads of a route; `undefined` where it asks for nothing of theirs. */
export function payloadReader(config: RouteConfig): PayloadReader | undefined {
  const { redact, map } = config;
  const latestBy = isKeyed(config) ? config.latestBy : 'subject';
  const isAsked = redact.length > 0 || Object.keys(map).length > 0 || latestBy !== 'subject';
  return isAsked ? new PayloadReader({ redact, map, latestBy }) : undefined;
}

/** Whether events of a route replace one another before they are delivered. */
export function isKeyed({ slow, throttleMs, rateLimit }: RouteConfig): boolean {
  return slow === 'latest' || throttleMs > 0 || rateLimit?.over === 'latest';
}
