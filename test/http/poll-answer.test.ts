import { describe, expect, it } from 'vitest';
import { type Farewell, PollAnswer, type PollBounds } from '../../src/http/poll-answer.ts';
import { PollBodies } from '../../src/http/poll-bodies.ts';
import type { Opened, Verdict } from '../../src/hub/recovery.ts';
import type { LogName } from '../../src/protocol/cursor.ts';
import type { Frame } from '../../src/protocol/frame.ts';
import { Rendering } from '../../src/protocol/rendering.ts';
import { encodeControl } from '../../src/protocol/sse.ts';
import { bodyOf, frameAt, wholeBytes } from './poll-frames.ts';

const bodies = new PollBodies(new Rendering('ndjson', undefined));
const log = { epoch: 'e' };
const at = (offset: number, data = `${offset}`) => frameAt(log, offset, data);

interface Situation extends Partial<PollBounds> {
  readonly verdict?: Verdict;
  readonly missed?: readonly Frame[];
  readonly ids?: readonly string[];
  readonly asides?: readonly string[];
  readonly lostThrough?: ReadonlyMap<LogName, number>;
}

/** A poll that was told of its one channel. */
function poll({
  verdict = 'recovered',
  missed = [],
  ids,
  asides = [],
  lostThrough = new Map(),
  ...bounds
}: Situation = {}) {
  const answer = new PollAnswer({ brought: 'e.1', limit: 100, maxBytes: 10_000, ...bounds }, bodies);
  const channels: Opened[] = [{ channel: 'a', resume: verdict, replayed: missed.length }];
  answer.recovered({ channels, replay: { frames: missed, ids }, lostThrough }, asides);
  return answer;
}
const given = (answer: PollAnswer, cursor: string, farewell?: Farewell) =>
  bodyOf(wholeBytes(answer.body(cursor, 4200, farewell)));

describe('a poll is answered', () => {
  it.each<[string, Situation, string]>([
    ['where something was missed', { missed: [at(2)] }, 'e.2'],
    ['where it brought no cursor, with the one of now', { brought: '', verdict: 'live' }, 'e.7'],
    ['where something is lost', { verdict: 'gap' }, 'e.7'],
    ['where its cursor is of another log', { brought: 'x.9', verdict: 'reset' }, 'e.7'],
  ])('at once %s', (_, situation, cursor) => {
    const answer = poll(situation);
    expect(answer.isDue(cursor)).toBe(true);
    expect(given(answer, cursor).cursor).toBe(cursor);
  });

  it.each<[string, Situation, string]>([
    ['nothing was missed', {}, 'e.1'],
    ['the log went on with nothing for it', {}, 'e.7'],
    ['it would be told the same gap the next time, as while NATS is away', { verdict: 'gap' }, 'e.1'],
    ['no log of its channels is known yet', { brought: '', verdict: 'live' }, ''],
    ['all it could be told is that a channel is unavailable', { asides: [encodeControl('x', {})] }, 'e.1'],
  ])('not before something happens where %s', (_, situation, cursor) => {
    const answer = poll(situation);
    expect(answer.isDue(cursor)).toBe(false);
    answer.add([at(8)]);
    expect(answer.isDue('e.8')).toBe(true);
  });
});

describe('the answer', () => {
  it('is a JSON object with the cursor, the verdicts, the events, and when to ask again where a request fails', () => {
    const answer = poll({ missed: [at(2, '{"p":1}'), at(3, 'a\nb "c"')] });
    expect(given(answer, 'e.5')).toEqual({
      cursor: 'e.5',
      channels: [{ channel: 'a', resume: 'recovered', replayed: 2 }],
      events: [
        { id: 'e.2', event: 'e', data: '{"p":1}' },
        { id: 'e.3', event: 'e', data: 'a\nb "c"' },
      ],
      retry: 4200,
    });
  });

  it('has a farewell beside what there is, where it is one', () => {
    const close = { reason: 'draining', retry: 5000 } as const;
    expect(given(poll({ missed: [at(2)] }), 'e.2', close)).toMatchObject({ close, events: [{ data: '2' }] });
  });

  it('of a client that was told nothing yet leaves it where it is', () => {
    const answer = new PollAnswer({ brought: 'e.1', limit: 100, maxBytes: 10_000 }, bodies);
    expect(given(answer, 'e.1')).toEqual({ cursor: 'e.1', channels: [], events: [], retry: 4200 });
  });

  it('begins with what is for this poll alone', () => {
    const answer = poll({ missed: [at(2)], asides: [encodeControl('sidestream.gap', { channel: 'a' })] });
    expect(given(answer, 'e.2').events).toEqual([
      { event: 'sidestream.gap', data: '{"channel":"a"}' },
      { id: 'e.2', event: 'e', data: '2' },
    ]);
  });

  it('gives each event the cursor that it has for this client', () => {
    const answer = poll({ missed: [at(2), at(3)], ids: ['', 'e.3_f.9'] });
    expect(given(answer, 'e.3_f.9').events).toEqual([
      { event: 'e', data: '2' },
      { id: 'e.3_f.9', event: 'e', data: '3' },
    ]);
  });
});

describe('what is beyond the bounds', () => {
  const data = (answer: PollAnswer, cursor: string) => {
    const body = given(answer, cursor);
    return [body.cursor, body.events.map((event) => event.data).join()];
  };

  it('in number is left for the next time, and the cursor stays before it', () => {
    expect(data(poll({ limit: 2, missed: [at(2), at(3), at(7)] }), 'e.9')).toEqual(['e.6', '2,3']);
  });

  it('in bytes as well', () => {
    expect(data(poll({ maxBytes: 80, missed: [at(2), at(3), at(4)] }), 'e.9')).toEqual(['e.3', '2,3']);
  });

  it('is given all the same where it is the first', () => {
    expect(data(poll({ maxBytes: 10, missed: [at(2), at(3)] }), 'e.9')).toEqual(['e.2', '2']);
  });

  it('is given all the same where it is of the message that was given last', () => {
    const answer = poll({ limit: 1, missed: [at(2, 'a'), at(2, 'b'), at(3)] });
    expect(data(answer, 'e.9')).toEqual(['e.2', 'a,b']);
  });

  it('stays left though something that fits follows', () => {
    const answer = poll({ maxBytes: 80, missed: [at(2)] });
    answer.add([at(3, 'x'.repeat(100)), at(4)]);
    expect(data(answer, 'e.4')).toEqual(['e.2', '2']);
  });

  it('is not overtaken by what came later and would fit', () => {
    const answer = poll({
      maxBytes: 80,
      missed: [at(2), at(3, 'x'.repeat(100)), frameAt({ epoch: 'f' }, 5)],
    });
    expect(data(answer, 'e.4_f.8')).toEqual(['e.2_f.4', '2']);
  });

  it('in one log is no reason to hold the cursor back in another', () => {
    const other = { epoch: 'f' };
    const answer = poll({ limit: 2, missed: [at(2), frameAt(other, 5), frameAt(other, 6)] });
    expect(data(answer, 'e.4_f.8')).toEqual(['e.4_f.5', '2,5']);
  });
});

describe('what lies before something that is told of as lost', () => {
  const lostThrough = new Map([[log, 5]]);
  const missed = [at(2), at(4), at(5), at(7), at(8)];

  it('is given beyond `limit`, so that the cursor passes by the loss and it is not told again', () => {
    const { cursor, events } = given(poll({ verdict: 'gap', limit: 1, missed, lostThrough }), 'e.9');
    expect([cursor, events.map(({ data }) => data)]).toEqual(['e.6', ['2', '4', '5']]);
  });

  it('is given though something of another log is left', () => {
    const other = { epoch: 'f' };
    const first = [frameAt(other, 3), frameAt(other, 4)];
    const answer = poll({ verdict: 'gap', limit: 1, missed: [...first, ...missed], lostThrough });
    const { cursor, events } = given(answer, 'f.4_e.9');
    expect([cursor, events.map(({ data }) => data)]).toEqual(['f.3_e.6', ['3', '2', '4', '5']]);
  });

  it('is left all the same where it would be too large', () => {
    const answer = poll({ verdict: 'gap', maxBytes: 80, missed, lostThrough });
    expect(given(answer, 'e.9')).toMatchObject({ cursor: 'e.4', events: [{ data: '2' }, { data: '4' }] });
  });
});

describe('what no cursor covers yet, since another channel of its log holds something back', () => {
  it('waits until one does', () => {
    const answer = poll();
    answer.add([at(3)]);
    expect(answer.isDue('e.1')).toBe(false);
    answer.add([at(2)]);
    expect(answer.isDue('e.3')).toBe(true);
    expect(given(answer, 'e.3').events.map((event) => event.data)).toEqual(['3', '2']);
  });

  it('is left for the next time where the wait is over', () => {
    const answer = poll();
    answer.add([at(2), at(4)]);
    expect(given(answer, 'e.2')).toMatchObject({ cursor: 'e.2', events: [{ data: '2' }] });
  });

  it('is given where its log has no cursors, since it cannot come again', () => {
    const answer = poll({ brought: '' });
    answer.add([frameAt({ epoch: undefined }, 4)]);
    expect(answer.isDue('')).toBe(true);
    expect(given(answer, '')).toMatchObject({ cursor: '', events: [{ data: '4' }] });
  });
});
