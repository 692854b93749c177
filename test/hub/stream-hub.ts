import { Connection } from '../../src/http/connection.ts';
import { openStream } from '../../src/http/subscribe.ts';
import type { Opened } from '../../src/hub/recovery.ts';
import { parseCursor } from '../../src/protocol/cursor.ts';
import { FakeResponse } from '../http/fake-response.ts';
import { EventStreamParser } from '../support/event-stream.ts';
import { FakeArchive, type Kept } from './fake-archive.ts';
import { type HubSetup, setUpHub } from './fakes.ts';
import { contextOf, settle } from './world.ts';

/** What serves a client. */
type Served = Pick<ReturnType<typeof setUpHub>, 'clock' | 'wheel' | 'hub' | 'metrics' | 'destination'>;

/** One stream as a browser has it so far. */
export class FakeClient {
  readonly res = new FakeResponse();
  readonly connection: Connection;

  constructor(
    { clock, wheel, hub, metrics, destination }: Served,
    channels: readonly string[],
    cursor: string | undefined,
  ) {
    const context = contextOf(clock, wheel, hub, metrics);
    const client = { address: '192.0.2.1', identity: undefined };
    this.connection = new Connection(this.res.asResponse, client, context);
    const positions = cursor === undefined ? undefined : parseCursor(cursor);
    const options = {
      destinations: channels.map(destination),
      cursor: positions,
      mediaType: 'text/event-stream',
      headers: [],
    };
    this.res.handle(() => openStream(this.connection, this.res.asResponse, context, options));
  }

  get parser(): EventStreamParser {
    const parser = new EventStreamParser();
    parser.push(this.res.bytes);
    return parser;
  }

  /** What `sidestream.open` says of each channel; absent as long as it has not come. */
  get opened(): readonly Opened[] | undefined {
    const open = this.parser.events.find(({ event }) => event === 'sidestream.open');
    return open === undefined ? undefined : JSON.parse(open.data).channels;
  }

  /** `id` and `data` of each publication. */
  get received(): string[] {
    const own = this.parser.events.filter(({ event }) => event === 'message');
    return own.map(({ id, data }) => `${id} ${data}`);
  }

  get lastEventId(): string {
    return this.parser.lastEventId;
  }

  /** Names and data of what is not a publication, in order, but for `sidestream.open`. */
  get notices(): string[] {
    const own = this.parser.events.filter(({ event }) => /^sidestream\.(?!open)/.test(event));
    return own.map(({ event, data }) => `${event} ${data}`);
  }

  leave(): void {
    this.res.becomeAborted();
  }
}

/** A hub whose one route `{name}` is fed by a log that is kept elsewhere as well. */
export function setUpStreamHub({ route, ...setup }: HubSetup = {}) {
  const archive = new FakeArchive();
  const history = { size: 10, ageMs: 60_000, bytes: 1_000_000 };
  const real = setUpHub({ archive, route: { history, ...route }, ...setup });
  const { source, hub, destination, clock } = real;
  const pass = (fields: Kept, channels: readonly string[]) => {
    const { offset, data = `${offset}`, timeMs = clock.wall() } = fields;
    archive.store(...channels.map((channel) => ({ ...fields, data, timeMs, channel })));
    source.log.offset = offset;
    for (const channel of channels) {
      const publication = { event: undefined, timeMs, ...fields, data };
      const sink = source.sink(channel);
      if (sink === undefined) hub.keep(destination(channel), publication, offset);
      else sink.publish(publication, offset);
    }
  };
  return {
    ...real,
    archive,
    /** A message comes and is kept: of these channels, `a` by default. */
    message: (fields: Kept, ...channels: readonly string[]) =>
      pass(fields, channels.length > 0 ? channels : ['a']),
    /** Messages of `a`, from one offset to another. */
    messages: (from: number, through: number) => {
      for (let offset = from; offset <= through; offset += 1) pass({ offset }, ['a']);
    },
    connect: (cursor?: string, channels: readonly string[] = ['a']) => new FakeClient(real, channels, cursor),
    settle,
  };
}
