import type { Attendance } from './attendance.ts';
import type { ChannelChange, Table } from './table.ts';

export interface UnlistedOptions {
  /** This one. */
  readonly instance: string;
  readonly attendance: Pick<Attendance, 'all'>;
  readonly table: Pick<Table, 'apply' | 'wants'>;
}

/** Members that are looked at in one turn. */
const MOST_AT_ONCE = 2000;

/** Lists this instance's members for whom there was no room, once there is: the other instances ask for them, here nobody does. */
export class Unlisted {
  readonly #options: UnlistedOptions;
  #rest: Generator<ChannelChange> | undefined;

  constructor(options: UnlistedOptions) {
    this.#options = options;
  }

  /** Whether {@link list} has something to do. */
  get isPending(): boolean {
    return this.#options.table.wants(this.#options.instance);
  }

  list(): void {
    const { instance, attendance, table } = this.#options;
    this.#rest = this.isPending ? (this.#rest ?? attendance.all()) : undefined;
    for (let left = MOST_AT_ONCE; left > 0 && this.#rest !== undefined; left -= 1) {
      const { value, done } = this.#rest.next();
      if (done === true) this.#rest = undefined;
      else table.apply({ ...value, changes: [value.change], instance, round: 0, isNews: true });
    }
  }
}
