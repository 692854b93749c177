// Loads an OpenTelemetry SDK before Sidestream, which then makes a span of each message: sent by OTLP over HTTP to
// OTEL_EXPORTER_OTLP_ENDPOINT (default http://localhost:4318), named by OTEL_SERVICE_NAME, sampled by OTEL_TRACES_SAMPLER.
// docs/tracing.md says how it is installed and started. Any other file will do that registers a provider before Sidestream starts.
import { trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import {
  detectResources,
  envDetector,
  hostDetector,
  processDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';

const found = detectResources({ detectors: [hostDetector, processDetector, envDetector] });
trace.setGlobalTracerProvider(
  new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'sidestream' }).merge(found),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  }),
);
