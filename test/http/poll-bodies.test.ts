import { expect, it } from 'vitest';
import { PollBodies, sizeOf } from '../../src/http/poll-bodies.ts';
import { withOtherId } from '../../src/protocol/frame.ts';
import { Rendering } from '../../src/protocol/rendering.ts';
import { frameAt } from './poll-frames.ts';

const log = { epoch: 'e' };

function setUp() {
  const bodies = new PollBodies(new Rendering('ndjson', undefined));
  return {
    bodies,
    text: (...events: Parameters<typeof bodies.joined>) => `${bodies.joined(...events)?.bytes}`,
  };
}

it('an event is made into JSON once, whatever cursor it has for each client', () => {
  const { bodies, text } = setUp();
  const frame = frameAt(log, 2, 'a "b"');
  const [own, other, none] = [bodies.given(frame), bodies.given(frame, 'e.2_f.9'), bodies.given(frame, '')];
  expect(new Set([own.line, other.line, none.line]).size).toBe(1);
  expect([own, other, none].map((given) => JSON.parse(text([given])))).toEqual([
    { id: 'e.2', event: 'e', data: 'a "b"' },
    { id: 'e.2_f.9', event: 'e', data: 'a "b"' },
    { event: 'e', data: 'a "b"' },
  ]);
});

it('an event counts with the bytes that it has as JSON, which may be six times those of SSE', () => {
  const { bodies, text } = setUp();
  const frame = frameAt(log, 2, '\u0001'.repeat(1000));
  for (const id of ['', 'e.2_f.9']) {
    const given = bodies.given(frame, id);
    expect(sizeOf(given)).toBeGreaterThan(6000);
    // With what separates it from the next.
    expect(sizeOf(given)).toBe(text([given]).length + 1);
  }
});

it('the same events are joined once for all who are given them, also where a view or a replay has copies of them', () => {
  const { bodies } = setUp();
  const frames = [frameAt(log, 2), frameAt(log, 3)];
  const copies = frames.map((frame) => withOtherId(frame, `e.${frame.offset}`));
  const first = bodies.joined(frames.map((frame) => bodies.given(frame)));
  expect(bodies.joined(copies.map((frame) => bodies.given(frame)))).toBe(first);
  expect(bodies.joined(frames.map((frame, i) => bodies.given(copies[i] ?? frame, `e.${frame.offset}`)))).toBe(
    first,
  );
});

it('others are not taken for them: other events, other cursors, fewer', () => {
  const { bodies, text } = setUp();
  const frame = frameAt(log, 2);
  const given = bodies.given(frame);
  text([given]);
  expect(text([bodies.given(frame, 'e.2_f.1')])).toContain('"e.2_f.1"');
  expect(text([bodies.given(frameAt(log, 2, 'another'))])).toContain('another');
  expect(JSON.parse(`[${text([given, bodies.given(frameAt(log, 3))])}]`)).toHaveLength(2);
  expect(bodies.joined([])).toBeUndefined();
});

it('no more is kept than a few megabytes, but for the newest', () => {
  const { bodies } = setUp();
  const large = [1, 2, 3].map((offset) => [bodies.given(frameAt(log, offset, 'x'.repeat(3_000_000)))]);
  const made = large.map((events) => bodies.joined(events));
  // Not handed to `expect`, which would compare megabytes where they differ.
  const isKept = [2, 0].map((index) => bodies.joined(large[index] ?? []) === made[index]);
  expect(isKept).toEqual([true, false]);
});
