import { cpSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type * as Api from '@opentelemetry/api';
import { expect, it, onTestFinished } from 'vitest';
import { createLog } from '../../src/log.ts';
import { findTracing } from '../../src/tracing/tracing.ts';
import { ManualClock } from '../support/clock.ts';
import { temporaryFolder } from '../support/folder.ts';

const log = createLog({ level: 'silent', format: 'json' }, { write: () => undefined });
const find = () => findTracing({ version: '0', log, clock: new ManualClock() });

/** The API once more, as an SDK brings it that is installed in a folder of its own. */
function ofItsOwn(): typeof Api {
  const require = createRequire(import.meta.url);
  const folder = temporaryFolder();
  const installed = join(dirname(require.resolve('@opentelemetry/api')), '../..');
  cpSync(installed, join(folder, 'api'), { recursive: true });
  return require(join(folder, 'api'));
}

it('an SDK is found though it brought an API of its own, and its spans are flushed', async () => {
  const api = ofItsOwn();
  expect(find()).toBeUndefined();
  const names: string[] = [];
  let flushes = 0;
  const noop = api.trace.getTracer('noop').startSpan('noop');
  const tracer = {
    startSpan(name: string) {
      names.push(name);
      return noop;
    },
  };
  api.trace.setGlobalTracerProvider({
    getTracer: () => tracer,
    forceFlush: async () => {
      flushes += 1;
    },
  } as unknown as Api.TracerProvider);
  onTestFinished(() => api.trace.disable());
  const tracing = find();
  const message = { subject: 's', template: 's', bytes: 1, trace: undefined };
  expect(tracing?.received(message)).toBeUndefined();
  await tracing?.flush();
  expect([names, flushes]).toEqual([['process s'], 1]);
});

it('an SDK that gives no tracer is as good as none', () => {
  const api = ofItsOwn();
  const getTracer = () => {
    throw new Error('broken');
  };
  api.trace.setGlobalTracerProvider({ getTracer });
  onTestFinished(() => api.trace.disable());
  expect(find()).toBeUndefined();
});

it('a span that throws at everything is of no consequence', () => {
  const api = ofItsOwn();
  const span = new Proxy(
    { isRecording: () => true },
    {
      get(target, name) {
        if (name === 'isRecording') return target.isRecording;
        return () => {
          throw new Error('broken');
        };
      },
    },
  );
  const tracer = { startSpan: () => span };
  api.trace.setGlobalTracerProvider({ getTracer: () => tracer } as unknown as Api.TracerProvider);
  onTestFinished(() => api.trace.disable());
  const from = { traceId: '1'.repeat(32), spanId: '2'.repeat(16), flags: '01' };
  const message = { subject: 's', template: 's', bytes: 1, trace: from };
  const received = find()?.received(message);
  expect(received).toBeDefined();
  expect(received?.trace).toBeUndefined();
  received?.dropped({ route: { name: 'r' }, channel: 'c' }, 'error');
  received?.end();
  const sent = find()?.sending(message);
  expect(sent?.trace).toEqual(from);
  sent?.end('NO_STREAM');
});
