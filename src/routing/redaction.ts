import type { RedactionConfig } from '../config/schema.ts';
import { compilePattern, Pattern } from './pattern.ts';

/** Patterns, each with what is put in the place of what matches, in the order of the config. */
export class Redaction {
  readonly #rules: readonly { readonly pattern: Pattern; readonly replacement: string }[];

  /** Takes those of `config` that are patterns. @throws TypeError where one cannot be used, which `check` refuses */
  constructor(config: readonly RedactionConfig[]) {
    this.#rules = config.flatMap((rule) => {
      if (rule.kind !== 'pattern') return [];
      const pattern = compilePattern(rule.pattern, rule.flags);
      if (!(pattern instanceof Pattern)) throw new TypeError(pattern.problem);
      return [{ pattern, replacement: rule.replacement }];
    });
  }

  get isEmpty(): boolean {
    return this.#rules.length === 0;
  }

  /** The very same text where nothing of it matches. */
  text(text: string): string {
    return this.#rules.reduce((rest, { pattern, replacement }) => pattern.replace(rest, replacement), text);
  }

  /** A number of JSON, as it is written: what is to stand in its place, or the very same. */
  number(written: string): string {
    const redacted = this.text(written);
    if (redacted !== written) return redacted;
    // 4.1e3 is 4100 to whoever reads it.
    const read = String(Number(written));
    if (read === written) return written;
    const redactedAsRead = this.text(read);
    return redactedAsRead === read ? written : redactedAsRead;
  }
}
