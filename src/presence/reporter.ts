import type { BackendEvents } from './backend-events.ts';
import { type Shown, shown } from './member.ts';
import type { Member, TrackedChannel } from './table.ts';

export interface ReporterOptions {
  readonly events: BackendEvents;
  /** Whether this instance, of all, tells of a channel. */
  isResponsible(channel: string): boolean;
  count(channel: string): number;
  /** A channel's route, by name. */
  route(channel: string): string | undefined;
}

/** Members in one event. */
const MOST_LISTED = 100;
/** Gathered members from which on they are told at once. */
const MOST_GATHERED = 10_000;

type ReportedChannel = Pick<TrackedChannel, 'name' | 'tracking'>;
type ReportedMember = Pick<Member, 'key' | 'claims'> & { readonly channel: ReportedChannel };

interface Pending {
  readonly joined: Shown[];
  /** By key. */
  readonly left: Map<string, Shown>;
}

/** Tells backends of channels and members. Every instance knows all of it; of each channel one tells. */
export class Reporter {
  readonly #options: ReporterOptions;
  readonly #pending = new Map<string, Pending>();
  #gathered = 0;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  get isPending(): boolean {
    return this.#pending.size > 0;
  }

  joined({ key, claims, channel }: ReportedMember): void {
    if (!this.#tells('join', channel)) return;
    const { name } = channel;
    const pending = this.#pending.get(name);
    // Who is back must not be said to have left behind that.
    if (pending?.left.has(key)) this.#tellAll(name, pending);
    this.#gather(name).joined.push(shown(key, claims));
    this.#limit();
  }

  left({ key, claims, channel }: ReportedMember): void {
    if (!this.#tells('leave', channel)) return;
    this.#gather(channel.name).left.set(key, shown(key, claims));
    this.#limit();
  }

  occupied({ name }: ReportedChannel): void {
    this.#channel('occupied', name);
  }

  vacated({ name }: ReportedChannel): void {
    // Who left last is told of first.
    const pending = this.#pending.get(name);
    if (pending !== undefined) this.#tellAll(name, pending);
    this.#channel('vacated', name);
  }

  flush(): void {
    for (const [channel, pending] of this.#pending) this.#tellAll(channel, pending);
  }

  #tellAll(channel: string, { joined, left }: Pending): void {
    this.#pending.delete(channel);
    this.#gathered -= joined.length + left.size;
    this.#tell('join', channel, joined);
    this.#tell('leave', channel, [...left.values()]);
  }

  #tells(event: 'join' | 'leave', { name, tracking }: ReportedChannel): boolean {
    const { events, isResponsible } = this.#options;
    return tracking.presence !== undefined && events.wants(event) && isResponsible(name);
  }

  #gather(channel: string): Pending {
    this.#gathered += 1;
    const known = this.#pending.get(channel);
    if (known !== undefined) return known;
    const made = { joined: [], left: new Map() };
    this.#pending.set(channel, made);
    return made;
  }

  #limit(): void {
    if (this.#gathered >= MOST_GATHERED) this.flush();
  }

  #tell(event: 'join' | 'leave', channel: string, members: readonly Shown[]): void {
    const { events, count, route } = this.#options;
    for (let start = 0; start < members.length; start += MOST_LISTED) {
      const some = members.slice(start, start + MOST_LISTED);
      events.tell(`presence.${event}`, {
        channel,
        route: route(channel),
        members: some,
        count: count(channel),
      });
    }
  }

  #channel(event: 'occupied' | 'vacated', channel: string): void {
    const { events, isResponsible, route } = this.#options;
    if (events.wants(event) && isResponsible(channel))
      events.tell(`channel.${event}`, { channel, route: route(channel) });
  }
}
