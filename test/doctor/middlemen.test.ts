import { describe, expect, it } from 'vitest';
import { CODINGS, canDecode } from '../../src/doctor/decoder.ts';
import { poll } from '../support/poll.ts';
import { examined, those } from './examined.ts';
import { startExaminedBridge } from './misconfigured.ts';
import { holdAll, holdUntil, type Meddle, startMiddleman, swallowFarewell } from './stand-in.ts';

const PATH = '/events/topic.a';

describe('behind a middleman that errs', () => {
  it('sees that the head is held back, though the bridge is there', async () => {
    const bridge = await startExaminedBridge();
    const found = await examined(`${await startMiddleman(() => bridge.httpPort, holdAll)}${PATH}`, {
      patienceMs: 1500,
    });
    expect(those(found, 'problem')).toEqual(['first-bytes']);
    expect(found['first-bytes'].measured).toMatch(/not even the head came within .* a long poll .* answered/);
    expect(found['first-bytes'].remedy).toContain('buffering');
    expect(found.answer.verdict).toBe('unmeasured');
  });

  it('sees that events, and then heartbeats, are held back behind a good beginning', async () => {
    const bridge = await startExaminedBridge();
    const url = `${await startMiddleman(() => bridge.httpPort, holdUntil(9))}${PATH}`;
    // Three bytes each: three heartbeats come together.
    const silent = await examined(url, { idleMs: 4000 });
    expect(silent.heartbeats.verdict).toBe('problem');
    expect(silent.heartbeats.measured).toContain('came together');
    const large = `${await startMiddleman(() => bridge.httpPort, holdUntil(4096))}${PATH}`;
    const found = await examined(large, { ops: bridge, patienceMs: 1000 });
    expect(found.events).toMatchObject({ verdict: 'problem', values: { held: 2 } });
  });
});

/** Two instances, and a middleman that goes to the second once the first drains. */
async function startPair(meddle?: Meddle) {
  const [old, next] = [await startExaminedBridge(), await startExaminedBridge()];
  const origin = await startMiddleman(() => (old.metrics.draining ? next.httpPort : old.httpPort), meddle);
  return { old, url: `${origin}${PATH}` };
}

describe('where an instance drains', () => {
  it('sees the farewell, and how soon another instance takes over', async () => {
    const { old, url } = await startPair();
    const { drain } = await examined(url, { ops: old, drain: 'call' });
    expect(drain).toMatchObject({ verdict: 'ok', values: { attempts: 1 } });
    expect(drain.measured).toContain('ended in good order');
  });

  it('waits for somebody else to drain it, where it is told so', async () => {
    const { old, url } = await startPair();
    const examination = examined(url, { drain: 'wait', streams: 0, idleMs: 5000 });
    // The one that is left alone, one for each coding, one that came back, and the one that is to be drained.
    const count = CODINGS.filter(canDecode).length + 3;
    await poll('all streams', () => old.metrics.connectionsOpened >= count);
    await old.drain();
    const { drain, idle } = await examination;
    expect(drain.verdict).toBe('ok');
    expect(idle.verdict).toBe('ok');
    expect(idle.measured).toContain('draining');
  });

  it('does not take it for a time-out that nobody answers who comes back', async () => {
    const bridge = await startExaminedBridge();
    const origin = await startMiddleman(() => (bridge.metrics.draining ? undefined : bridge.httpPort));
    const examination = examined(`${origin}${PATH}`, { streams: 0, idleMs: 5000 });
    // The one that is left alone, one for each coding, and one that came back.
    const count = CODINGS.filter(canDecode).length + 2;
    await poll('all streams', () => bridge.metrics.connectionsOpened >= count);
    await bridge.drain();
    const { idle } = await examination;
    expect(idle.verdict).toBe('ok');
    expect(idle.measured).toContain('draining');
  });

  it('sees that the farewell is swallowed', async () => {
    const { old, url } = await startPair(swallowFarewell);
    const { drain } = await examined(url, { ops: old, drain: 'call' });
    expect(drain.verdict).toBe('problem');
    expect(drain.measured).toContain('without sidestream.close');
  });

  it('says that a status other than 200 is the end to a browser', async () => {
    const old = await startExaminedBridge();
    const origin = await startMiddleman(() => (old.metrics.draining ? undefined : old.httpPort));
    const { drain } = await examined(`${origin}${PATH}`, { ops: old, drain: 'call' });
    expect(drain.verdict).toBe('problem');
    expect(drain.measured).toContain('502');
  });
});
