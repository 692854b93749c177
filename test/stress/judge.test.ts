import { describe, expect, test } from 'vitest';
import { Book } from './book.ts';
import { Judge } from './judge.ts';
import type { ChannelSpec, Debt } from './topology.ts';

const JOIN = {
  resume: 'live',
  reason: undefined,
  replayed: 0,
  isReturn: false,
  isSameProcess: true,
  offset: undefined,
};
const RETURN = { ...JOIN, resume: 'recovered', isReturn: true };

/** A channel with publications 1, 2, 3 … at 10, 20, 30 …, and a judge for whoever joined before them. */
function channel(debt: Debt, count: number, more: Partial<ChannelSpec> = {}) {
  const stream = debt === 'memory' ? {} : { stream: 'S' };
  const book = new Book({ name: 'c', subject: 's', debt, rate: 1, padding: 0, ...stream, ...more });
  const judge = new Judge(book);
  judge.joined(JOIN);
  const publish = (keys: readonly string[] = ['']) => {
    for (const key of keys) {
      const number = book.begin(key.replace('-', ''), key.startsWith('-'));
      book.store(number * 10);
    }
  };
  publish(Array(count).fill(''));
  const receive = (...numbers: number[]) =>
    numbers.map((number) => judge.received(number, number * 10)).find(Boolean);
  return { book, judge, publish, receive };
}

describe('the judge of the stress run', () => {
  test('has nothing against all publications in order, over returns', () => {
    const { judge, receive } = channel('all', 4);
    expect(receive(1, 2)).toBeUndefined();
    expect(judge.joined(RETURN)).toBeUndefined();
    expect(receive(3, 4)).toBeUndefined();
  });

  test.each<Debt>(['all', 'limited', 'memory'])(
    'sees what is missing, doubled or out of order (%s)',
    (debt) => {
      expect(channel(debt, 4).receive(1, 3)).toMatch(/2 is missing/);
      expect(channel(debt, 4).receive(2)).toMatch(/1 is missing/);
      expect(channel(debt, 4).receive(1, 2, 2)).toMatch(/2 came twice/);
      expect(channel(debt, 4).receive(1, 2, 3, 2)).toMatch(/2 came after 3/);
      expect(channel(debt, 4).receive(1, 2, 3, 4, 5)).toMatch(/5 was never published/);
    },
  );

  test('sees that the first publication after joining is missing', () => {
    const { judge, book } = channel('all', 3);
    const late = new Judge(book);
    expect(late.joined({ ...JOIN, offset: 10 })).toBeUndefined();
    expect(late.received(3, 30)).toMatch(/2 at 20 is missing/);
    expect(judge.last).toBeUndefined();
  });

  test('sees a position that is not the publication’s, also before it is known to be stored', () => {
    const { book, judge } = channel('all', 1);
    expect(judge.received(1, 11)).toMatch(/is at 10/);
    const number = book.begin();
    expect(judge.received(number, 21)).toBeUndefined();
    expect(book.store(20)).toMatch(/delivered as 21/);
  });

  test.each<Debt>(['limited', 'memory'])(
    'excuses what was published before a gap was said, and no more (%s)',
    (debt) => {
      const { judge, receive, publish } = channel(debt, 3);
      receive(1);
      expect(judge.gap('too-old')).toBeUndefined();
      publish(['', '']);
      expect(receive(4)).toBeUndefined();
      const other = channel(debt, 3);
      other.receive(1);
      other.judge.gap('too-old');
      other.publish(['', '']);
      expect(other.receive(5)).toMatch(/4 is missing/);
    },
  );

  test.each<Debt>(['all', 'values'])(
    'does not let a gap be said where nothing can be missing (%s)',
    (debt) => {
      const { judge } = channel(debt, 1);
      expect(judge.gap('too-old')).toMatch(/nothing can be missing/);
      expect(judge.joined({ ...RETURN, resume: 'gap', reason: 'evicted' })).toMatch(/nothing can be missing/);
      expect(judge.joined({ ...RETURN, resume: 'reset', reason: 'epoch' })).toMatch(/reset/);
      expect(judge.joined({ ...RETURN, resume: 'live' })).toMatch(/live/);
      expect(judge.gap('unavailable')).toBeUndefined();
    },
  );

  test('knows whose memory it was', () => {
    const { judge } = channel('memory', 1);
    expect(judge.joined({ ...RETURN, isSameProcess: false })).toMatch(/another process/);
    expect(judge.joined({ ...RETURN, resume: 'reset' })).toMatch(/reset was said/);
    expect(judge.joined({ ...RETURN, resume: 'reset', isSameProcess: false })).toBeUndefined();
  });

  test('counts what is replayed to who joins', () => {
    const { book } = channel('all', 9, { replay: 5 });
    const joining = { ...JOIN, replayed: 5, offset: 40 };
    const judge = new Judge(book);
    expect(judge.joined(joining)).toBeUndefined();
    expect(judge.received(5, 50)).toBeUndefined();
    expect(new Judge(book).joined({ ...joining, replayed: 6 })).toMatch(/not 5/);
    const short = new Judge(book);
    short.joined({ ...joining, replayed: 4, offset: 50 });
    expect(short.received(6, 60)).toMatch(/5 is missing/);
  });

  test('lets newer values take the place of older ones, but not hide a key or a deletion', () => {
    const { receive, publish, book } = channel('values', 0);
    publish(['a', 'b', 'a', '-b', 'a']);
    expect(receive(4, 5)).toBeUndefined();
    const late = new Judge(book);
    late.joined(JOIN);
    expect(late.received(5, 50), 'a deleted key has no current value').toBeUndefined();
    const back = channel('values', 0);
    back.publish(['a', 'b']);
    back.receive(1, 2);
    back.publish(['-b', 'a']);
    back.judge.joined(RETURN);
    expect(back.receive(4)).toMatch(/3 is missing/);
  });
});
