import { describe, expect, it } from 'vitest';
import { PollAnswer } from '../../src/http/poll-answer.ts';
import { PollBodies } from '../../src/http/poll-bodies.ts';
import { Encoder } from '../../src/hub/encoder.ts';
import { Log, LogSet } from '../../src/hub/log.ts';
import { recast } from '../../src/hub/view.ts';
import { makeBatch, mergeBatches } from '../../src/protocol/batch.ts';
import { Rendering } from '../../src/protocol/rendering.ts';
import { frameAt, bodyOf as read, wholeBytes } from '../http/poll-frames.ts';
import { ManualClock } from '../support/clock.ts';
import { EventStreamParser } from '../support/event-stream.ts';
import { FakeSubscriber, setUpHub } from './fakes.ts';

const log = new Log('e');
const encoder = new Encoder(new ManualClock());
const notice = (data = 'n') => encoder.notice(log, 'x', data);
const entry = (offset: number, of = log) =>
  encoder.entry(of, { event: undefined, data: `${offset}` }, offset);
const told = (reader: FakeSubscriber) => reader.events.map(({ id, event, data }) => [id, event, data]);

describe('a notice', () => {
  it('goes to everybody on the channel, in order with its publications, without an `id:`', () => {
    const { hub, join, publish, source } = setUpHub();
    const [one, two, other] = [new FakeSubscriber(), new FakeSubscriber(), new FakeSubscriber()];
    for (const reader of [one, two]) join(reader, 'a');
    join(other, 'b');
    const before = source.log.offset;
    publish('a', '1');
    hub.notice('a', 'sidestream.join', { line: 'a\nb' });
    publish('a', '2');
    hub.flush();
    expect(told(one)).toEqual([
      [`e.${before + 1}`, 'message', '1'],
      [`e.${before + 1}`, 'sidestream.join', '{"line":"a\\nb"}'],
      [`e.${before + 2}`, 'message', '2'],
    ]);
    expect(told(two)).toEqual(told(one));
    expect(told(other)).toEqual([]);
  });

  it('is not for who joins later, and is not kept', () => {
    const history = { size: 10, ageMs: 60_000, bytes: 10_000 };
    const { hub, join, publish, source, opened } = setUpHub({ route: { history } });
    const [early, late] = [new FakeSubscriber(), new FakeSubscriber()];
    const channel = join(early, 'a');
    const before = source.log.offset;
    publish('a', '1');
    hub.notice('a', 'x', 1);
    join(late, 'a');
    hub.flush();
    expect([early.data, late.data]).toEqual([['1', '1'], []]);
    expect(source.log.offset).toBe(before + 1);
    expect(opened(channel, `e.${before}`)).toMatchObject({ resume: 'recovered', replayed: 1 });
  });

  it('is nothing where control events are off, nobody is there, or there is no such channel', () => {
    const silent = setUpHub({ control: false });
    const reader = new FakeSubscriber();
    silent.join(reader, 'a');
    silent.hub.notice('a', 'x', 1);
    silent.hub.flush();
    expect(reader.batches).toEqual([]);
    const { hub, join, metrics } = setUpHub();
    const left = new FakeSubscriber();
    hub.unsubscribe(left, join(left, 'a'));
    hub.notice('a', 'x', 1);
    hub.notice('nowhere', 'x', 1);
    hub.flush();
    expect([left.batches, metrics.route('any').deliveries]).toEqual([[], 0]);
  });

  it('is no publication to the metrics', () => {
    const { hub, join, metrics } = setUpHub();
    join(new FakeSubscriber(), 'a');
    hub.notice('a', 'x', 1);
    hub.flush();
    expect(metrics.route('any').publications).toBe(0);
    expect(metrics.publishToFlush.counts.reduce((sum, n) => sum + n, 0)).toBe(0);
  });

  it('keeps the cursor of a gap behind it from being passed by a publication before it', () => {
    const { hub, join, source } = setUpHub({
      archive: { newest: async () => 7, read: async () => ({ publications: [], after: 0 }) },
    });
    const reader = new FakeSubscriber();
    join(reader, 'a');
    source.log.offset = 7;
    source.sink('a')?.publish({ event: undefined, data: '7' }, 7);
    hub.notice('a', 'x', 1);
    source.sink('a')?.gap('evicted');
    hub.flush();
    expect(told(reader).map(([id, event]) => [id, event])).toEqual([
      ['', 'message'],
      ['', 'x'],
      ['e.7', 'sidestream.gap'],
    ]);
  });

  it('brings no cursor to who reads several logs either, and leaves those of the others alone', () => {
    const other = new Log('f');
    const frames = [notice(), notice(), entry(5), notice(), entry(8, other)];
    const parser = new EventStreamParser();
    for (const { bytes } of recast(frames, new LogSet([log, other]), (of) => (of === log ? 3 : 7)))
      parser.push(bytes);
    expect(parser.events.map(({ id }) => id)).toEqual(['', '', 'e.5_f.7', 'e.5_f.7', 'e.5_f.8']);
  });

  it('is given to a connection whose cursor is ahead of its log', () => {
    const { hub, join, publish, source } = setUpHub();
    const reader = new FakeSubscriber();
    join(reader, 'a');
    reader.view = { logs: new LogSet([source.log]), ahead: new Map([[source.log, 5]]) };
    publish('a', 'had');
    hub.notice('a', 'x', 'new');
    hub.flush();
    expect(told(reader)).toEqual([['', 'x', '"new"']]);
    expect(reader.view?.ahead?.get(source.log)).toBe(5);
  });

  it('takes nobody else an `id:` where several channels are joined', () => {
    const { frames } = mergeBatches([makeBatch([notice(), notice()]), makeBatch([entry(9)])]);
    expect(frames.map(({ idLength }) => idLength)).toEqual([0, 0, 'id: e.9\n'.length]);
    const { hub, join, publish } = setUpHub();
    const reader = new FakeSubscriber();
    for (const channel of ['a', 'b']) join(reader, channel);
    hub.notice('a', 'x', 1);
    publish('b', '1');
    hub.notice('b', 'x', 2);
    publish('a', '2');
    hub.flush();
    expect(told(reader).map(([id]) => id)).toEqual(['', 'e.5', 'e.5', 'e.6']);
  });
});

describe('a notice to a poll', () => {
  const bodies = new PollBodies(new Rendering('ndjson', undefined));
  const poll = (limit = 100) => {
    const answer = new PollAnswer({ brought: 'e.1', limit, maxBytes: 10_000 }, bodies);
    answer.recovered({ channels: [], replay: { frames: [], ids: undefined }, lostThrough: new Map() }, []);
    return answer;
  };
  const body = (answer: PollAnswer, cursor: string) => read(wholeBytes(answer.body(cursor, 1, undefined)));

  it('answers it, and leaves the cursor where it is', () => {
    const answer = poll();
    answer.add([notice()]);
    expect(answer.isDue('e.1')).toBe(true);
    expect(body(answer, 'e.1')).toMatchObject({ cursor: 'e.1', events: [{ event: 'x', data: '"n"' }] });
  });

  it('is let go of where the answer is full, and holds nothing back', () => {
    const answer = poll(2);
    answer.add([frameAt(log, 2), frameAt(log, 3), notice(), frameAt(log, 4)]);
    expect(body(answer, 'e.4')).toMatchObject({ cursor: 'e.3', events: [{ id: 'e.2' }, { id: 'e.3' }] });
    const next = poll(2);
    next.add([frameAt(log, 2), notice(), frameAt(log, 3)]);
    expect(body(next, 'e.3')).toMatchObject({ cursor: 'e.2', events: [{ id: 'e.2' }, { event: 'x' }] });
  });
});
