import { TICK_MS, TimerWheel } from '../../src/clock.ts';
import { Peers, type PeersOptions } from '../../src/cluster/peers.ts';
import { createLog } from '../../src/log.ts';
import { ManualClock } from '../support/clock.ts';
import { type FakeBus, FakeNats } from './fake-bus.ts';

export interface Member {
  readonly peers: Peers;
  readonly bus: FakeBus;
  readonly wheel: TimerWheel;
  /** `+a` and `-a`, as they came and went. */
  readonly changes: string[];
  readonly lines: { readonly message: string }[];
}

/** Instances in one process, whose time and NATS the test moves. */
export class TestCluster {
  readonly clock = new ManualClock();
  readonly nats = new FakeNats();
  /** Those whose timers run. */
  readonly running = new Set<Member>();

  /** One that is there already is heard by it, and hears it. */
  add(instance: string, options: Partial<PeersOptions> = {}): Member {
    const { clock } = this;
    const bus = this.nats.bus();
    const wheel = new TimerWheel(clock);
    const lines: Member['lines'] = [];
    const log = createLog(
      { level: 'debug', format: 'json' },
      { write: (line) => void lines.push(JSON.parse(line)) },
    );
    const own = { instance, host: `${instance}.example`, version: '1.2.3', startedMs: clock.wall() };
    const peers = new Peers({ own, prefix: 'sidestream', bus, clock, wheel, log, ...options });
    const changes: string[] = [];
    peers.follow({
      appeared: (peer) => changes.push(`+${peer.instance}`),
      vanished: (peer) => changes.push(`-${peer.instance}`),
    });
    const member = { peers, bus, wheel, changes, lines };
    this.running.add(member);
    peers.start();
    return member;
  }

  /** Without a word. */
  kill(member: Member): void {
    this.running.delete(member);
    member.bus.isConnected = false;
  }

  pass(ms: number): void {
    for (let left = ms; left > 0; left -= TICK_MS) {
      this.clock.advance(Math.min(left, TICK_MS));
      for (const { wheel } of this.running) wheel.advance();
    }
  }
}

export function idsOf({ peers }: Member): string {
  return peers.all.map(({ instance }) => instance).join(' ');
}
