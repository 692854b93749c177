import { trace } from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  type Sampler,
  SimpleSpanProcessor,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { onTestFinished } from 'vitest';
import { poll } from '../support/poll.ts';

/** A real SDK, in this process until the test is over, and the spans that it was given. */
export class LoadedSdk {
  readonly #exporter = new InMemorySpanExporter();
  readonly #provider: BasicTracerProvider;

  constructor({ sampler, processors = [] }: { sampler?: Sampler; processors?: SpanProcessor[] } = {}) {
    this.#provider = new BasicTracerProvider({
      spanProcessors: [...processors, new SimpleSpanProcessor(this.#exporter)],
      ...(sampler !== undefined && { sampler }),
    });
    trace.setGlobalTracerProvider(this.#provider);
    onTestFinished(() => trace.disable());
  }

  /** Those that have ended, oldest first. */
  get spans(): readonly ReadableSpan[] {
    return this.#exporter.getFinishedSpans();
  }

  /** Waits until so many have ended. */
  async ended(count: number): Promise<readonly ReadableSpan[]> {
    return poll(`${count} spans`, () => (this.spans.length >= count ? this.spans : undefined));
  }
}

export const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
export const SPAN_ID = 'b7ad6b7169203331';
/** Of a trace that is recorded. */
export const PARENT = `00-${TRACE_ID}-${SPAN_ID}-01`;
/** What a log line has of it. */
export const PARENT_FIELDS = { trace_id: TRACE_ID, span_id: SPAN_ID, trace_flags: '01' };
