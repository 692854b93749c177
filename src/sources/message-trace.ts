import type { Destination } from '../routing/router.ts';
import {
  readTraceContext,
  type TraceContext,
  type TraceFields,
  traceFields,
} from '../tracing/trace-context.ts';
import type { MessageSpan, Tracing } from '../tracing/tracing.ts';
import { headerOf, ID_HEADER, type Message } from './publication.ts';

/** Where a stream holds a message: which, and at which sequence. */
interface Place {
  readonly stream: string;
  readonly offset: number;
}

/** The span of a message, one for all channels that it feeds; `undefined` where it is not recorded. */
export function spanOf(
  tracing: Tracing,
  message: Message,
  destination: Destination | undefined,
  place?: Place,
): MessageSpan | undefined {
  const { subject, data } = message;
  return tracing.received({
    subject,
    template: destination?.route.config.subject ?? subject,
    bytes: data.length,
    id: headerOf(message, ID_HEADER),
    trace: traceOf(message),
    ...place,
  });
}

/** For a log line about a message: its span where there is one, else what its publisher said. */
export function traceFieldsOf(message: Message, span: MessageSpan | undefined): TraceFields | undefined {
  return traceFields(span?.trace ?? traceOf(message));
}

/** What its publisher said of its trace. */
function traceOf(message: Message): TraceContext | undefined {
  return readTraceContext((name) => headerOf(message, name));
}
