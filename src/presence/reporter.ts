import { fitting } from '../paging.ts';
import type { BackendEvents } from './backend-events.ts';
import { type Shown, SOMEBODY, shown } from './member.ts';
import type { Member, TrackedChannel } from './table.ts';

export interface ReporterOptions {
  readonly events: BackendEvents;
  /** Whether this instance, of all, tells of a channel. */
  isResponsible(channel: string): boolean;
  count(channel: string): number;
  /** A channel's route, by name. */
  route(channel: string): string | undefined;
}

/** Members in one event; fewer where NATS does not take as many bytes. */
const MOST_LISTED = 100;
/** Gathered members from which on they are told at once. */
const MOST_GATHERED = 10_000;

type ReportedChannel = Pick<TrackedChannel, 'name'>;
type ReportedMember = Pick<Member, 'key' | 'claims' | 'tracking'> & { readonly channel: ReportedChannel };

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

  joined(member: ReportedMember): void {
    if (!this.#tells('join', member)) return;
    const { key, claims } = member;
    const { name } = member.channel;
    const pending = this.#pending.get(name);
    // Who is back must not be said to have left behind that.
    if (pending?.left.has(key)) this.#tellAll(name, pending);
    this.#gather(name).joined.push(shown(key, claims));
    this.#limit();
  }

  left(member: ReportedMember): void {
    if (!this.#tells('leave', member)) return;
    const { key, claims, channel } = member;
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

  #tells(event: 'join' | 'leave', { key, channel, tracking }: ReportedMember): boolean {
    const { events, isResponsible } = this.#options;
    if (key === SOMEBODY || tracking.presence === undefined) return false;
    return events.wants(event) && isResponsible(channel.name);
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
    if (members.length === 0) return;
    const about = { channel, route: route(channel), members: [], count: count(channel) };
    for (const some of portions(members, events.room(about)))
      events.tell(`presence.${event}`, { ...about, members: some });
  }

  #channel(event: 'occupied' | 'vacated', channel: string): void {
    const { events, isResponsible, route } = this.#options;
    if (events.wants(event) && isResponsible(channel))
      events.tell(`channel.${event}`, { channel, route: route(channel) });
  }
}

/** In parts of so many bytes of JSON, and no more than are listed. One that is larger is a part by itself: that it is not sent is counted, and the others are. */
function* portions(members: readonly Shown[], maxBytes: number): Generator<readonly Shown[]> {
  // With the comma, which the last one has not.
  const bytesOf = (member: Shown) => Buffer.byteLength(JSON.stringify(member)) + 1;
  for (let start = 0; start < members.length; ) {
    const portion = fitting(members.slice(start, start + MOST_LISTED), bytesOf, maxBytes + 1);
    yield portion;
    start += portion.length;
  }
}
