import type { Identity } from '../../src/auth/identity.ts';
import { Poll, type PollContext, type PollOptions } from '../../src/http/poll.ts';
import { PollBodies } from '../../src/http/poll-bodies.ts';
import { Retry } from '../../src/http/retry.ts';
import { Waiting } from '../../src/http/waiting.ts';
import { createLog } from '../../src/log.ts';
import type { Ending } from '../../src/metrics.ts';
import { parseCursor } from '../../src/protocol/cursor.ts';
import { Rendering } from '../../src/protocol/rendering.ts';
import { type HubSetup, setUpHub } from '../hub/fakes.ts';
import { FakeResponse } from './fake-response.ts';
import { bodyOf, type PollBody } from './poll-frames.ts';

export const WAIT_MS = 25_000;
export const PENDING_BYTES = 1000;
export const STALLED_MS = 30_000;
const KEPT = { size: 100, ageMs: 60_000, bytes: 1_000_000 };

/** A response that is answered once. */
class PollResponse extends FakeResponse {
  /** Whether the client is told not to use the connection again. */
  get closesConnection(): boolean {
    return this.head.includes('Connection: close');
  }

  /** The answer, if there is one. */
  get told(): PollBody | undefined {
    return this.isEnded && !this.cutOff && this.chunks.length > 0 ? bodyOf(this.bytes) : undefined;
  }
}

export interface AskSetup extends Partial<Pick<PollOptions, 'waitMs' | 'limit' | 'headers' | 'chosen'>> {
  readonly channels?: readonly string[];
  readonly cursor?: string;
  readonly identity?: Identity;
  /** Bytes that the socket takes before it is full. */
  readonly room?: number;
}

export interface PollSetup extends HubSetup {
  /** `limits.pending`, and `limits.pendingTotal`. */
  readonly pendingBytes?: number;
  readonly totalBytes?: number;
}

/** A hub with a clock to move, and whoever polls it. */
export function setUpPolls({
  pendingBytes = PENDING_BYTES,
  totalBytes = Infinity,
  ...setup
}: PollSetup = {}) {
  const real = setUpHub({ ...setup, route: { history: KEPT, ...setup.route } });
  const { clock, wheel, hub, metrics, destination } = real;
  const endings: Ending[] = [];
  const waiting = new Waiting(totalBytes, metrics);
  const retryMs = { min: 3000, max: 10_000 };
  const context: PollContext = {
    clock,
    wheel,
    hub,
    metrics,
    retry: new Retry({ clock, retryMs, reconnectRatePerSecond: 1000, connections: () => 1 }),
    log: createLog({ level: 'silent', format: 'json' }, { write: () => undefined }),
    sse: { control: setup.control ?? true },
    waiting,
    bodies: new PollBodies(new Rendering('ndjson', undefined)),
    limits: { pendingBytes, stalledMs: STALLED_MS },
    ended: (_, ending) => void endings.push(ending),
  };
  return {
    ...real,
    /** How the polls ended, in that order. */
    endings,
    /** Asks, as one request does. */
    ask: ({ channels = ['a'], cursor = '', identity, room = Infinity, ...options }: AskSetup = {}) => {
      const res = new PollResponse();
      res.room = room;
      const poll = new Poll(res.asResponse, { address: '192.0.2.1', identity }, context, {
        destinations: channels.map(destination),
        cursor: parseCursor(cursor),
        waitMs: WAIT_MS,
        limit: 100,
        chosen: { rendering: undefined, headers: [] },
        headers: [],
        ...options,
      });
      res.handle(() => poll.start());
      return { res, poll };
    },
    /** Publishes, and ends the turn. */
    send: (channel: string, data: string) => {
      real.publish(channel, data);
      hub.flush();
    },
  };
}
