import type { Channel, Subscriber } from '../hub/channel.ts';
import type { Route } from '../routing/router.ts';
import { type Claims, chosenClaims, keyOf, SOMEBODY, type Visitor } from './member.ts';
import type { Change, ChannelChange, ChannelChanges } from './table.ts';
import type { Tracking } from './tracking.ts';

/** A subscriber of whom it is known who they are. */
export interface Attendee extends Subscriber {
  readonly id: string;
  readonly client: { readonly identity: Visitor | undefined };
}

type Who = Pick<Attendee, 'id' | 'client'>;
type Where = Pick<Channel, 'name' | 'destination'>;

/** Whether a subscriber is a stream or a poll. What holds a channel open until one may go live on it is none: nobody has come. */
function isAttendee(subscriber: Subscriber): subscriber is Attendee {
  return 'client' in subscriber;
}

/** For a hub that is there before it. */
export function attendanceOf(attendance: () => Attendance | undefined) {
  return {
    joined(subscriber: Subscriber, channel: Channel): void {
      if (isAttendee(subscriber)) attendance()?.joined(subscriber, channel);
    },
    left(subscriber: Subscriber, channel: Channel): void {
      if (isAttendee(subscriber)) attendance()?.left(subscriber, channel);
    },
  };
}

/** Somebody's streams on one channel, here. */
interface Seat {
  connections: number;
  /** As the other instances know it; -1 where they know other claims. */
  told: number;
  sinceMs: number;
  claims: Claims | undefined;
}

interface Seats {
  readonly byKey: Map<string, Seat>;
  /** Of those, how many are taken: one that was left stays until that has been told. */
  taken: number;
}

export interface AttendanceOptions {
  readonly tracking: Pick<ReadonlyMap<Route, Tracking>, 'get'>;
  /** Since when somebody is there who may have been away, or have come just now: in milliseconds since the Unix epoch. */
  sinceMs(channel: string, key: string): number;
  /** Told at once what has changed here. */
  changed(changes: ChannelChanges): void;
}

/** Who is on the channels of this instance; gathers what the others are to be told. */
export class Attendance {
  readonly #options: AttendanceOptions;
  readonly #channels = new Map<string, Seats>();
  /** Whose number of streams has changed, by channel. */
  #changed = new Map<string, Set<string>>();

  constructor(options: AttendanceOptions) {
    this.#options = options;
  }

  /** Whether there is something to tell. */
  get hasChanged(): boolean {
    return this.#changed.size > 0;
  }

  joined(subscriber: Who, { name, destination }: Where): void {
    const tracking = this.#options.tracking.get(destination.route);
    if (tracking === undefined) return;
    const { presence } = tracking;
    const visitor = subscriber.client.identity;
    const key = presence === undefined ? SOMEBODY : keyOf(subscriber.id, visitor);
    const seats = this.#channels.get(name) ?? { byKey: new Map(), taken: 0 };
    this.#channels.set(name, seats);
    const seat = seats.byKey.get(key) ?? this.#seat(seats, name, key);
    seat.connections += 1;
    if (seat.connections === 1) seats.taken += 1;
    if (presence !== undefined) setClaims(seat, chosenClaims(presence.claims, visitor));
    // Of a channel of which only counts whether anybody is there, that is all there is to tell.
    if (key !== SOMEBODY || seat.connections === 1) this.#note(name, seats, key, seat);
  }

  left(subscriber: Who, { name, destination }: Where): void {
    const tracking = this.#options.tracking.get(destination.route);
    if (tracking === undefined) return;
    const key = tracking.presence === undefined ? SOMEBODY : keyOf(subscriber.id, subscriber.client.identity);
    const seats = this.#channels.get(name);
    const seat = seats?.byKey.get(key);
    if (seats === undefined || seat === undefined) return;
    seat.connections -= 1;
    if (seat.connections === 0) seats.taken -= 1;
    if (key !== SOMEBODY || seat.connections === 0) this.#note(name, seats, key, seat);
  }

  /** What has changed since the last time, for the others. Who came and went meanwhile is not told of. */
  *takeChanges(): Generator<ChannelChange> {
    const changed = this.#changed;
    this.#changed = new Map();
    for (const [channel, keys] of changed) {
      const seats = this.#channels.get(channel);
      if (seats === undefined) continue;
      for (const key of keys) {
        const seat = seats.byKey.get(key);
        if (seat === undefined) continue;
        const isNew = seat.connections !== seat.told;
        seat.told = seat.connections;
        if (seat.connections === 0) seats.byKey.delete(key);
        if (isNew) yield { channel, total: seats.taken, change: changeOf(key, seat) };
      }
      if (seats.byKey.size === 0) this.#channels.delete(channel);
    }
  }

  /** Everybody that is here. May be gone through over a while: each is what holds when it is taken, and who comes meanwhile may be in it, or not. */
  *all(): Generator<ChannelChange> {
    for (const [channel, seats] of this.#channels) {
      for (const [key, seat] of seats.byKey)
        if (seat.connections > 0) yield { channel, total: seats.taken, change: changeOf(key, seat) };
    }
  }

  #seat({ byKey }: Seats, channel: string, key: string): Seat {
    const sinceMs = this.#options.sinceMs(channel, key);
    const seat = { connections: 0, told: 0, sinceMs, claims: undefined };
    byKey.set(key, seat);
    return seat;
  }

  #note(channel: string, { taken }: Seats, key: string, seat: Seat): void {
    const keys = this.#changed.get(channel);
    if (keys === undefined) this.#changed.set(channel, new Set([key]));
    else keys.add(key);
    this.#options.changed({ channel, total: taken, changes: [changeOf(key, seat)] });
  }
}

/** The latest stream's: a token that was renewed may say something else. */
function setClaims(seat: Seat, claims: Claims | undefined): void {
  if (JSON.stringify(claims) === JSON.stringify(seat.claims)) return;
  seat.claims = claims;
  if (seat.told > 0) seat.told = -1;
}

function changeOf(key: string, { connections, sinceMs, claims }: Seat): Change {
  return { key, connections, sinceMs, claims };
}
