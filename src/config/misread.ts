/** A config value that its reader could not take. What was expected stands in the schema; this says how to mend it. */
export class Misread {
  /** May quote the value: it is shown only where the value may be. */
  readonly fix: string | undefined;

  constructor(fix?: string) {
    this.fix = fix;
  }
}
