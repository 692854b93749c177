/** What one client was told and sent lately, in order; of one channel, or of the connection. */
interface Line {
  readonly channel: string | undefined;
  readonly text: string;
}

const KEPT_LINES = 400;
const SHOWN_LINES = 25;

/** A client's newest lines, for whoever has to find out what went wrong. */
export class Trail {
  readonly #lines: Line[] = [];

  note(channel: string | undefined, text: string): void {
    this.#lines.push({ channel, text });
    if (this.#lines.length > 2 * KEPT_LINES) this.#lines.splice(0, KEPT_LINES);
  }

  /** The newest that concern a channel. */
  of(channel: string): string[] {
    return this.#lines
      .filter((line) => line.channel === undefined || line.channel === channel)
      .slice(-SHOWN_LINES)
      .map(({ text }) => text);
  }
}

export interface Finding {
  readonly who: string;
  readonly channel: string;
  readonly what: string;
  /** What came before, the newest last. */
  readonly trail: readonly string[];
}

/** Everything that was not as it should be, and counts of what happened. */
export class Findings {
  readonly faults: Finding[] = [];
  /** What the bridges' logs complain of. */
  complaints: readonly string[] = [];
  readonly #counts = new Map<string, number>();
  readonly #startMs = performance.now();

  fault(finding: Finding): void {
    this.faults.push(finding);
  }

  count(what: string, more = 1): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + more);
  }

  counted(what: string): number {
    return this.#counts.get(what) ?? 0;
  }

  /** Seconds since the beginning, for a trail. */
  get clock(): string {
    return `${((performance.now() - this.#startMs) / 1000).toFixed(3)}s`;
  }

  get counts(): readonly string[] {
    return [...this.#counts]
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([what, count]) => `${what}: ${count}`);
  }
}
