import { createServer } from 'node:http';
import { onTestFinished } from 'vitest';

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Of the process that made it. */
  readonly resource: Readonly<Record<string, unknown>>;
}

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

/** What is used of OTLP's `ExportTraceServiceRequest`, as JSON. */
interface Exported {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly {
      readonly scope: { readonly name: string };
      readonly spans: readonly (Omit<ReceivedSpan, 'attributes' | 'resource'> & {
        readonly attributes: readonly Attribute[];
      })[];
    }[];
  }[];
}

/** Where spans are sent by OTLP over HTTP, in place of a collector; it is gone when the test is over. */
export class OtlpReceiver {
  readonly spans: ReceivedSpan[] = [];
  readonly scopes = new Set<string>();
  #url = '';

  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  get url(): string {
    return this.#url;
  }

  /** `isSilent`: it takes requests and never answers. */
  async start({ isSilent = false } = {}): Promise<void> {
    const server = createServer(async (request, response) => {
      if (isSilent) return;
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      if (request.url === '/v1/traces') this.#take(JSON.parse(Buffer.concat(chunks).toString()));
      response.writeHead(200, { 'Content-Type': 'application/json' }).end('{}');
    });
    onTestFinished(() => {
      server.close();
      server.closeAllConnections();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new TypeError('no port');
    this.#url = `http://127.0.0.1:${address.port}`;
  }

  #take({ resourceSpans }: Exported): void {
    for (const { resource, scopeSpans } of resourceSpans)
      for (const { scope, spans } of scopeSpans) {
        this.scopes.add(scope.name);
        for (const span of spans)
          this.spans.push({
            ...span,
            attributes: plain(span.attributes),
            resource: plain(resource.attributes),
          });
      }
  }
}

function plain(attributes: readonly Attribute[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
