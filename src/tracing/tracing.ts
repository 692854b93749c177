import {
  type Attributes,
  type Context,
  createTraceState,
  isSpanContextValid,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  type TracerProvider,
  trace,
} from '@opentelemetry/api';
import { messageOf } from '../errors.ts';
import { Complaints, type Logger } from '../log.ts';
import type { DropReason } from '../metrics.ts';
import type { TraceContext } from './trace-context.ts';

export interface TracingOptions {
  /** Of this software. */
  readonly version: string;
  readonly log: Logger;
  readonly clock: { now(): number };
}

/** A message, as a span tells of it. */
export interface TracedMessage {
  readonly subject: string;
  /** The route's subject template: of these there are few. */
  readonly template: string;
  /** Of the payload. */
  readonly bytes: number;
  /** By which its publisher makes it known again. */
  readonly id?: string | undefined;
  /** What its publisher said of its trace. */
  readonly trace: TraceContext | undefined;
  /** Where a stream holds it: which, and at which sequence. */
  readonly stream?: string;
  readonly offset?: number;
}

/** A channel of a route. */
interface Target {
  readonly route: { readonly name: string };
  readonly channel: string;
}

/** How long the last spans may take to get out when the process ends, in milliseconds. */
const FLUSH_MS = 2_000;
const MAX_ID_LENGTH = 256;

/**
 * Spans, where somebody takes them: where an OpenTelemetry SDK was loaded before (`node --import`). `undefined` otherwise, so that
 * without one a message costs no more than the question whether there is tracing. Looked for once: the API's own no-op
 * tracer would cost a context, a span and the attributes of each message.
 */
export function findTracing({ version, log, clock }: TracingOptions): Tracing | undefined {
  const provider = trace.getTracerProvider();
  try {
    // An SDK may bring an API of its own; then the provider is of its class and not of ours.
    if (provider instanceof ProxyTracerProvider && provider.getDelegateTracer('sidestream') === undefined)
      return undefined;
    const tracer = provider.getTracer('sidestream', version);
    log.info('an OpenTelemetry SDK is loaded: a span is made of each message');
    return new Tracing(provider, tracer, new Complaints(log, clock));
  } catch (error) {
    log.error({ error: messageOf(error) }, 'the OpenTelemetry SDK gives no tracer: no spans are made');
    return undefined;
  }
}

/** Makes spans. Whatever an SDK, or what was plugged into it, throws is kept from the callbacks of the NATS client. */
export class Tracing {
  readonly #provider: TracerProvider;
  readonly #tracer: Tracer;
  readonly #complaints: Complaints;

  constructor(provider: TracerProvider, tracer: Tracer, complaints: Complaints) {
    this.#provider = provider;
    this.#tracer = tracer;
    this.#complaints = complaints;
  }

  /** The span of a message that came, one for all its channels; `undefined` where it is not recorded. */
  received(message: TracedMessage): MessageSpan | undefined {
    const failed = (error: unknown) => this.#failed(error);
    const span = this.#start('process', SpanKind.CONSUMER, message);
    const isRecorded = attempt(() => span?.isRecording(), failed);
    return span !== undefined && isRecorded === true ? new MessageSpan(span, failed) : undefined;
  }

  /** The span of a message that goes out; what it carries from then on is {@link SentSpan.trace}. */
  sending(message: TracedMessage): SentSpan {
    return new SentSpan(this.#start('publish', SpanKind.PRODUCER, message), message.trace, (error) =>
      this.#failed(error),
    );
  }

  /**
   * Has the SDK send what it still holds: the process ends without waiting for its timers. The API has no word for that; the
   * providers of SDKs have `forceFlush`. Never rejects.
   */
  async flush(): Promise<void> {
    const provider = delegateOf(this.#provider);
    if (!('forceFlush' in provider) || typeof provider.forceFlush !== 'function') return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${FLUSH_MS} ms`)), FLUSH_MS);
    });
    try {
      await Promise.race([provider.forceFlush(), late]);
    } catch (error) {
      this.#complaints.warn('flush', { error: messageOf(error) }, 'the last spans could not be sent');
    } finally {
      clearTimeout(timer);
    }
  }

  #start(operation: 'process' | 'publish', kind: SpanKind, message: TracedMessage): Span | undefined {
    const { template, trace: from } = message;
    try {
      const parent = contextOf(from);
      const creation = trace.getSpanContext(parent);
      return this.#tracer.startSpan(
        `${operation} ${template}`,
        {
          kind,
          attributes: attributesOf(operation, message),
          // The conventions want the link in any case, and allow to be its child besides.
          ...(kind === SpanKind.CONSUMER && creation !== undefined && { links: [{ context: creation }] }),
        },
        parent,
      );
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }

  #failed(error: unknown): void {
    this.#complaints.warn('span', { error: messageOf(error) }, 'the OpenTelemetry SDK failed at a span');
  }
}

/** What is told of a message that came, until it was handed to the hub for all its channels. Nothing here throws. */
export class MessageSpan {
  readonly #span: Span;
  readonly #failed: (error: unknown) => void;
  readonly #routes: string[] = [];
  readonly #channels: string[] = [];
  #subscriptions = 0;

  constructor(span: Span, failed: (error: unknown) => void) {
    this.#span = span;
    this.#failed = failed;
  }

  /** For what is logged of the message; `undefined` where the SDK does not say. */
  get trace(): TraceContext | undefined {
    return attempt(() => ofSpan(this.#span), this.#failed);
  }

  /** It goes to a channel, which has so many subscriptions. */
  published({ route, channel }: Target, subscriptions = 0): void {
    this.#routes.push(route.name);
    this.#channels.push(channel);
    this.#subscriptions += subscriptions;
  }

  /** A channel does not get it. A duplicate is no failure. */
  dropped({ route: { name } }: Target, reason: DropReason): void {
    attempt(() => {
      this.#span.addEvent('dropped', { 'sidestream.route': name, 'sidestream.reason': reason });
      if (reason === 'duplicate') return;
      this.#span.setAttribute('error.type', reason);
      this.#span.setStatus({
        code: SpanStatusCode.ERROR,
        message: `dropped by the route ${name}: ${reason}`,
      });
    }, this.#failed);
  }

  end(): void {
    attempt(() => {
      this.#span.setAttributes({
        'sidestream.routes': this.#routes,
        'sidestream.channels': this.#channels,
        'sidestream.subscriptions': this.#subscriptions,
      });
      this.#span.end();
    }, this.#failed);
  }
}

/** What is told of a message that is published, until it is known what became of it. */
export class SentSpan {
  /** What the message carries: the span where there is one, else what its publisher brought. */
  readonly trace: TraceContext | undefined;
  readonly #span: Span | undefined;
  readonly #failed: (error: unknown) => void;

  constructor(span: Span | undefined, from: TraceContext | undefined, failed: (error: unknown) => void) {
    this.#span = span;
    this.#failed = failed;
    const own = attempt(
      () => (span !== undefined && isSpanContextValid(span.spanContext()) ? ofSpan(span) : undefined),
      failed,
    );
    this.trace = own ?? from;
  }

  /** Never throws. `code`: why it was not taken. */
  end(code?: string): void {
    attempt(() => {
      if (code !== undefined)
        this.#span?.setAttribute('error.type', code).setStatus({ code: SpanStatusCode.ERROR, message: code });
      this.#span?.end();
    }, this.#failed);
  }
}

/** What comes of it, or `undefined` where it throws. */
function attempt<T>(act: () => T, failed: (error: unknown) => void): T | undefined {
  try {
    return act();
  } catch (error) {
    failed(error);
    return undefined;
  }
}

/** By the semantic conventions for messaging spans; what is not in them begins with `sidestream.`. */
function attributesOf(operation: 'process' | 'publish', message: TracedMessage): Attributes {
  const { subject, template, bytes, id, stream, offset } = message;
  return {
    'messaging.system': 'nats',
    'messaging.operation.name': operation,
    'messaging.operation.type': operation === 'publish' ? 'send' : operation,
    'messaging.destination.name': subject,
    'messaging.destination.template': template,
    'messaging.message.body.size': bytes,
    ...(id !== undefined && id !== '' && { 'messaging.message.id': id.slice(0, MAX_ID_LENGTH) }),
    ...(stream !== undefined && { 'sidestream.stream': stream }),
    ...(offset !== undefined && { 'sidestream.offset': offset }),
  };
}

function contextOf(from: TraceContext | undefined): Context {
  if (from === undefined) return ROOT_CONTEXT;
  const { traceId, spanId, flags, tracestate } = from;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
    ...(tracestate !== undefined && { traceState: createTraceState(tracestate) }),
  });
}

function ofSpan(span: Span): TraceContext {
  const { traceId, spanId, traceFlags, traceState } = span.spanContext();
  const tracestate = traceState?.serialize() ?? '';
  return {
    traceId,
    spanId,
    flags: traceFlags.toString(16).padStart(2, '0'),
    ...(tracestate !== '' && { tracestate }),
  };
}

function delegateOf(provider: TracerProvider): object {
  // Of an API that the SDK brought itself it is another class of the same name.
  if ('getDelegate' in provider && typeof provider.getDelegate === 'function') return provider.getDelegate();
  return provider;
}
