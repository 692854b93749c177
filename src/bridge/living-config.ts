import type { Config } from '../config/schema.ts';

/**
 * The config as it is now. Each of its sections is the same object for as long as the process runs, so that who holds one reads what
 * holds now by a property as before: no look-up, no call on any path that is hot. Only what is under {@link adopt} writes.
 */
export class LivingConfig {
  readonly config: Config;

  constructor(config: Config) {
    this.config = Object.fromEntries(
      Object.entries(config).map(([name, section]) => [name, isSection(section) ? { ...section } : section]),
    ) as unknown as Config;
  }

  /** Has it say what another one says. */
  adopt(next: Config): void {
    for (const [name, section] of Object.entries(next)) {
      const here: unknown = Reflect.get(this.config, name);
      if (!isSection(here) || !isSection(section)) {
        Reflect.set(this.config, name, section);
        continue;
      }
      for (const key of Object.keys(here))
        if (!Object.hasOwn(section, key)) Reflect.deleteProperty(here, key);
      Object.assign(here, section);
    }
  }
}

function isSection(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
