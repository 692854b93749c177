import { isDeepStrictEqual } from 'node:util';
import type { Route } from '../routing/router.ts';
import { toFilter } from './stream-filter.ts';

/** What the routes of one stream want of it, as they are now. */
export class StreamWants {
  #routes: readonly Route[];
  #filters: readonly string[];

  constructor(routes: readonly Route[]) {
    this.#routes = routes;
    this.#filters = filtersOf(routes);
  }

  get routes(): readonly Route[] {
    return this.#routes;
  }

  /** Their subjects, with `*` for parameters. */
  get filters(): readonly string[] {
    return this.#filters;
  }

  /** Whether it is a bucket, of which the current values suffice. */
  get isBucket(): boolean {
    return this.#routes.every(({ config }) => config.source.kind === 'kv');
  }

  /** How far back memory begins the first time, in milliseconds. */
  get warmMs(): number {
    const wanted = this.#routes.map(({ config: { source } }) =>
      source.kind === 'stream' ? source.warmMs : 0,
    );
    return Math.max(0, ...wanted);
  }

  /** They are these from now on; says whether other messages are wanted than before. */
  change(routes: readonly Route[]): boolean {
    const filters = filtersOf(routes);
    const isOther = !isDeepStrictEqual(new Set(filters), new Set(this.#filters));
    this.#routes = routes;
    this.#filters = filters;
    return isOther;
  }
}

function filtersOf(routes: readonly Route[]): readonly string[] {
  return routes.map(({ template }) => toFilter(template.subject));
}
