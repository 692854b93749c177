import type { PubAck } from '@nats-io/jetstream';
import { formatPosition } from '../../protocol/cursor.ts';
import { Queue } from '../../queue.ts';
import type { Route } from '../../routing/router.ts';
import { traceHeaders } from '../../tracing/trace-context.ts';
import type { Tracing } from '../../tracing/tracing.ts';
import type { ControlCode } from '../codes.ts';
import { readInput } from '../input.ts';
import { type Caller, ControlError, type Served, single } from '../operation.ts';
import {
  type Accepted,
  message,
  type PublishInput,
  publish,
  publishBatch,
  type Result,
} from '../operations/publishing.ts';
import { payloadOf } from './publish-payload.ts';
import { type Addressing, type Target, targetOf } from './publish-target.ts';
import type { Delivery, KnownLog, Publisher } from './publisher.ts';

export interface PublishingDeps extends Addressing {
  readonly publisher: Pick<Publisher, 'publish'>;
  /** `limits.event`, as it is now. */
  readonly maxEventBytes: number;
  /** What is known of the log that feeds a route; absent where it is no stream. */
  logOf(route: Route): KnownLog | undefined;
  /** Told of each channel that was published to. */
  touch(channel: string): void;
  /** Gives it to single streams, of every instance. @throws ControlError */
  send(input: PublishInput, caller: Caller): Promise<Accepted>;
  readonly counts: PublishCounts;
  /** Absent where nobody takes spans. */
  readonly tracing?: Tracing | undefined;
}

/** Messages by what became of them: `accepted`, or the code of the refusal. */
export class PublishCounts {
  readonly results = new Map<ControlCode | 'accepted', number>();

  add(result: ControlCode | 'accepted'): void {
    this.results.set(result, (this.results.get(result) ?? 0) + 1);
  }
}

/** Messages of a batch that are under way at a time. They go out in their order; so many acknowledgements are waited for. */
const CONCURRENCY = 128;

/** Publishing: one message, or many. */
export function publishingOperations(deps: PublishingDeps): Served[] {
  return [
    single(publish, (input, caller) => counted(deps, () => one(input, deps, caller))),
    single(publishBatch, async ({ messages }, caller) => {
      const queue = new Queue(CONCURRENCY);
      const results = await Promise.all(messages.map((each) => queue.run(() => result(each, deps, caller))));
      const accepted = results.filter((each) => 'accepted' in each).length;
      return { accepted, refused: results.length - accepted, results };
    }),
  ];
}

/** @throws ControlError */
async function one(input: PublishInput, deps: PublishingDeps, caller: Caller): Promise<Accepted> {
  const target = targetOf(input, deps);
  if (target !== undefined) return publishTo(target, input, deps, caller);
  if (input.persist === true)
    throw new ControlError('NO_STREAM', 'what is for single streams is kept nowhere: publish to a channel');
  // What no instance could give to a stream need not be asked of any.
  payloadOf(input, deps.maxEventBytes);
  return deps.send(input, caller);
}

async function publishTo(
  { destination: { route, channel }, subject }: Target,
  input: PublishInput,
  deps: PublishingDeps,
  caller: Caller,
): Promise<Accepted> {
  const { maxEventBytes, logOf, touch } = deps;
  const payload = payloadOf(input, maxEventBytes);
  const { source } = route.config;
  const stream =
    source.kind === 'stream' ? source.stream : source.kind === 'kv' ? `KV_${source.bucket}` : undefined;
  const log = logOf(route);
  const before = log?.offset ?? 0;
  const isStored = input.persist === true || stream !== undefined;
  const ack = await sendTraced({ subject, payload, isStored }, route, deps, caller);
  touch(channel);
  // Of another stream, which the route's own copies from perhaps, nobody here knows the positions.
  const position = ack === undefined || ack.stream !== stream ? undefined : positionOf(ack, log, before);
  return {
    accepted: true,
    channel,
    subject,
    ...(ack !== undefined && { stream: ack.stream, duplicate: ack.duplicate }),
    ...(position !== undefined && { position }),
  };
}

/** The message carries the caller's trace on; where spans are made, that of its own. @throws ControlError */
async function sendTraced(
  { subject, payload, isStored }: Delivery,
  { config: { subject: template } }: Route,
  { publisher, tracing }: PublishingDeps,
  { trace }: Caller,
): Promise<PubAck | undefined> {
  const { bytes, fields } = payload;
  const id = fields['Nats-Msg-Id'];
  const span = tracing?.sending({ subject, template, bytes: bytes.length, id, trace });
  const carried = traceHeaders(span === undefined ? trace : span.trace);
  try {
    const ack = await publisher.publish({
      subject,
      payload: { bytes, fields: { ...fields, ...carried } },
      isStored,
    });
    span?.end();
    return ack;
  } catch (error) {
    span?.end(error instanceof ControlError ? error.code : 'CONTROL_FAILED');
    throw error;
  }
}

// A stream that was made anew and not looked at since gives out sequences that its log has had: what is known of it is of the old one.
function positionOf(
  { seq, duplicate }: PubAck,
  log: KnownLog | undefined,
  before: number,
): string | undefined {
  if (log?.epoch === undefined || (seq <= before && !duplicate)) return undefined;
  return formatPosition(log.epoch, seq);
}

/** What comes of one message of a batch. Never rejects on account of what it holds. */
async function result(each: unknown, deps: PublishingDeps, caller: Caller): Promise<Result> {
  try {
    return await counted(deps, () => one(readInput({ input: message }, each), deps, caller));
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    return { error: { code: error.code, message: error.message } };
  }
}

async function counted<T>({ counts }: PublishingDeps, act: () => Promise<T>): Promise<T> {
  try {
    const accepted = await act();
    counts.add('accepted');
    return accepted;
  } catch (error) {
    counts.add(error instanceof ControlError ? error.code : 'CONTROL_FAILED');
    throw error;
  }
}
