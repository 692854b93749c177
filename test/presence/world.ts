import { TICK_MS, TimerWheel } from '../../src/clock.ts';
import { Peers } from '../../src/cluster/peers.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { BackendEvent } from '../../src/config/schema.ts';
import { createLog } from '../../src/log.ts';
import type { Announcement } from '../../src/presence/announcer.ts';
import { BackendEvents } from '../../src/presence/backend-events.ts';
import { createPresence, type Presence } from '../../src/presence/presence.ts';
import { Router } from '../../src/routing/router.ts';
import { ManualClock } from '../support/clock.ts';
import { Network, type NetworkBus } from './network.ts';

export const LEAVE_AFTER_MS = 5000;
export const CHANNELS = ['room-a', 'room-b', 'room-c'];

/** A stream of somebody on a channel of one instance. */
export interface Stream {
  readonly id: string;
  readonly user: string | undefined;
  readonly channel: string;
}

/** `bare` is what is to be known of who is on `bare-…`; `more` is about the route besides. */
function channelsWith(bare: boolean | object, more: object = {}) {
  const room = {
    channel: 'room-{id}',
    subject: 'rooms.{id}',
    access: 'public',
    presence: { claims: ['name'], leaveAfter: '5s' },
  };
  const channels = {
    room,
    bare: { channel: 'bare-{id}', subject: 'bare.{id}', access: 'public', presence: bare, ...more },
  };
  return parseConfig(JSON.stringify({ channels }), 'test.yaml', {}).config.channels;
}

// Read once: worlds have many instances.
const CHANNELS_AT_FIRST = channelsWith(false);

interface Published {
  readonly channel: string;
  readonly members?: readonly { readonly user?: string; readonly id?: string }[];
}

/** One instance: everything of presence but the hub and NATS. */
export class Node {
  readonly bus: NetworkBus;
  readonly peers: Peers;
  readonly presence: Presence;
  readonly wheel: TimerWheel;
  readonly router = new Router(CHANNELS_AT_FIRST);
  readonly streams = new Map<string, Stream>();
  /** What each of its channels was told of each member, in order. */
  readonly told = new Map<string, string[]>();
  readonly problems: string[] = [];
  /** What backends were told. */
  readonly published: string[] = [];

  constructor(instance: string, world: World) {
    const { clock } = world;
    const { router } = this;
    const bus = world.network.bus();
    this.bus = bus;
    this.wheel = new TimerWheel(clock);
    const log = createLog(
      { level: 'warn', format: 'json' },
      { write: (line) => void this.problems.push(line) },
    );
    const own = { instance, host: 'a.example', version: '1.2.3', startedMs: clock.wall() };
    this.peers = new Peers({ own, prefix: 'sidestream', bus, clock, wheel: this.wheel, log });
    const options = {
      config: { prefix: 'sidestream', members: world.maxMembers },
      events: new BackendEvents({
        prefix: 'sidestream',
        instance,
        events: world.events,
        wall: () => clock.wall(),
        publish: (subject, payload) => this.#published(subject, JSON.parse(payload)),
      }),
      clock,
      wheel: this.wheel,
      log,
      bus,
      peers: this.peers,
      router,
      messageBytes: world.messageBytes,
      subscribers: () => 1,
      notice: (channel: string, event: string, data: Announcement) => this.#noted(channel, event, data),
      defer: (run: () => void) => world.later(run),
    };
    const presence = createPresence(options);
    if (presence === undefined) throw new Error('the route of this world has presence');
    this.presence = presence;
    presence.start();
    this.peers.start();
    presence.connected();
  }

  open(stream: Stream): void {
    this.streams.set(stream.id, stream);
    this.presence.attendance.joined(...this.#attending(stream));
  }

  close(stream: Stream): void {
    if (this.streams.delete(stream.id)) this.presence.attendance.left(...this.#attending(stream));
  }

  /** Goes by another config: `bare` is what is to be known of who is on `bare-…`; `more` is about the route besides. */
  reroute(bare: boolean | object, more: object = {}): void {
    const of = [...this.streams.values()].filter(({ channel }) => channel.startsWith('bare-'));
    const before = of.map((stream) => this.#attending(stream));
    this.router.adopt(this.router.prepare(channelsWith(bare, more)));
    this.presence.rerouted();
    // As the hub does, for channels whose feed stays.
    for (const attending of before) this.presence.attendance.left(...attending);
    for (const stream of of) this.presence.attendance.joined(...this.#attending(stream));
  }

  cut(): void {
    this.bus.isConnected = false;
    this.peers.disconnected();
  }

  mend(): void {
    if (this.bus.isConnected) return;
    this.bus.isConnected = true;
    this.peers.reconnected();
    this.presence.reconnected();
  }

  /** Who it says is on a channel: `count: user ×streams …`. */
  says(channel: string): string {
    const { count, members } = this.presence.page(channel, { limit: 1000, after: undefined });
    return written(
      members.map(({ user, id, connections }) => [user ?? id ?? '', connections] as const),
      count,
    );
  }

  #attending({ id, user, channel: name }: Stream) {
    const destination = this.router.resolve(name);
    if (destination === undefined) throw new Error(`no route has ${name}`);
    const identity = user === undefined ? undefined : { subject: user, claims: { name: user } };
    return [
      { id, client: { identity } },
      { name, destination },
    ] as const;
  }

  #published(subject: string, { channel, members = [] }: Published): true {
    const who = members.map(({ user, id }) => user ?? id).join(' ');
    this.published.push(`${subject.replace('sidestream.event.', '')} ${channel} ${who}`.trim());
    return true;
  }

  #noted(channel: string, event: string, { members }: Announcement): void {
    for (const { user, id } of members) {
      const key = `${channel} ${user ?? id}`;
      this.told.set(key, [...(this.told.get(key) ?? []), event.replace('sidestream.', '')]);
    }
  }
}

export interface WorldOptions {
  /** From 0 up to 1. Default: nothing ever happens. */
  readonly chance?: () => number;
  readonly maxMembers?: number;
  readonly messageBytes?: number;
  /** What backends are told of. Default: nothing. */
  readonly events?: readonly BackendEvent[];
}

/** Instances whose time, network and visitors the test moves. */
export class World {
  readonly clock = new ManualClock();
  readonly network: Network;
  readonly nodes: Node[] = [];
  readonly maxMembers: number;
  readonly messageBytes: number;
  readonly events: readonly BackendEvent[];
  #started = 0;
  #later: (() => void)[] = [];

  constructor(options: WorldOptions = {}) {
    const { chance = () => 1, maxMembers = 1000, messageBytes = 1024, events = [] } = options;
    this.network = new Network(this.clock, chance);
    this.maxMembers = maxMembers;
    this.messageBytes = messageBytes;
    this.events = events;
  }

  start(): Node {
    this.#started += 1;
    const node = new Node(`node-${this.#started}`, this);
    this.nodes.push(node);
    return node;
  }

  /** Without a word, with all its streams. */
  kill(node: Node): void {
    this.nodes.splice(this.nodes.indexOf(node), 1);
    node.bus.isConnected = false;
  }

  /** In good order. */
  stop(node: Node): void {
    for (const stream of node.streams.values()) node.close(stream);
    node.presence.stop();
    node.peers.stop();
    this.kill(node);
  }

  later(run: () => void): void {
    this.#later.push(run);
  }

  pass(ms: number): void {
    for (let left = ms; left > 0; left -= TICK_MS) {
      this.clock.advance(Math.min(left, TICK_MS));
      for (const { wheel } of this.nodes) wheel.advance();
      this.turn();
    }
  }

  /** One of the event loop. */
  turn(): void {
    this.network.deliver();
    for (const run of this.#later.splice(0)) run();
  }

  /** Who is on a channel, as {@link Node.says}. */
  truth(channel: string): string {
    const streams = this.nodes.flatMap((node) => [...node.streams.values()]);
    const counts = new Map<string, number>();
    for (const { id, user, channel: its } of streams)
      if (its === channel) counts.set(user ?? id, (counts.get(user ?? id) ?? 0) + 1);
    return written([...counts], counts.size);
  }
}

function written(members: readonly (readonly [string, number])[], count: number): string {
  const list = members.map(([name, connections]) => `${name} ×${connections}`).sort();
  return `${count}: ${list.join(' ')}`;
}
