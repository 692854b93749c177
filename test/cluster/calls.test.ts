import { describe, expect, it } from 'vitest';
import type { Bus } from '../../src/cluster/bus.ts';
import { Calls } from '../../src/cluster/calls.ts';
import { idsOf, type Member, TestCluster } from './cluster.ts';

const SUBJECT = 'sidestream.control.count';

/** One that asks, and others that know each other; they answer nothing yet. */
function setUp(others: readonly string[] = ['b', 'c']) {
  const cluster = new TestCluster();
  const a = cluster.add('a');
  const members = others.map((instance) => cluster.add(instance));
  cluster.pass(1000);
  const bus = a.bus as unknown as Bus;
  const calls = new Calls({ prefix: 'sidestream', bus, peers: a.peers, wheel: a.wheel, deadlineMs: 2000 });
  calls.start();
  const answers: { done: readonly string[] | undefined } = { done: undefined };
  const gather = () =>
    calls.gather('count', Buffer.from('{}')).then((answered) => {
      answers.done = answered.map(({ instance, answer }) => `${instance}=${answer.n}`);
    });
  return { cluster, a, members, calls, gather, answers };
}

/** Has it answer with `n`, as often as it is asked. */
function answering(member: Member | undefined, n: unknown): void {
  const instance = member?.peers.own.instance;
  member?.bus.listen(SUBJECT, (_payload, { answer }) => answer(JSON.stringify({ instance, ok: true, n })));
}

/** Lets promises that are settled tell it. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('a question to all', () => {
  it('is answered as soon as everybody who is known has', async () => {
    const { members, calls, gather, answers } = setUp();
    members.forEach(answering);
    await gather();
    expect([answers.done, calls.underWay]).toEqual([['b=0', 'c=1'], 0]);
  });

  it('is not waited for longer than its deadline, and what comes later is nobody’s', async () => {
    const { cluster, members, calls, gather, answers } = setUp();
    answering(members[0], 1);
    let late: (text: string) => void = () => undefined;
    members[1]?.bus.listen(SUBJECT, (_payload, { answer }) => {
      late = answer;
    });
    const gathered = gather();
    cluster.pass(1900);
    await settle();
    expect(answers.done).toBeUndefined();
    cluster.pass(300);
    await gathered;
    expect([answers.done, calls.underWay]).toEqual([['b=1'], 0]);
    late('{"instance":"c","ok":true,"n":2}');
    await settle();
    expect(answers.done).toEqual(['b=1']);
  });

  it('does not wait for one that goes meanwhile', async () => {
    const { members, gather, answers, a } = setUp();
    answering(members[0], 1);
    const gathered = gather();
    await settle();
    expect(answers.done).toBeUndefined();
    members[1]?.peers.stop();
    await gathered;
    expect([answers.done, idsOf(a)]).toEqual([['b=1'], 'a b']);
  });

  it('is answered by nobody at once where there is no NATS, or nobody else', async () => {
    const { a, gather, answers } = setUp();
    a.bus.isConnected = false;
    await gather();
    expect(answers.done).toEqual([]);
    const alone = setUp([]);
    await alone.gather();
    expect(alone.answers.done).toEqual([]);
  });

  it('takes one answer from each, and none that is no answer', async () => {
    const { members, gather, answers } = setUp();
    const [b, c] = members;
    b?.bus.listen(SUBJECT, (_payload, { answer }) => {
      for (const text of [
        '',
        '{',
        '[]',
        'null',
        '7',
        '{"ok":true}',
        '{"instance":7}',
        '{"instance":"b","n":1}',
      ])
        answer(text);
      answer('{"instance":"b","n":2}');
    });
    answering(c, 3);
    await gather();
    expect(answers.done).toEqual(['b=1', 'c=3']);
  });

  it('is not answered by more than may have come meanwhile, nor by who asks, nor by who is nobody', async () => {
    const { cluster, members, calls } = setUp();
    members[0]?.bus.listen(SUBJECT, (_payload, { answer }) => {
      for (const instance of ['a', '', 'no name', 'x'.repeat(65)]) answer(JSON.stringify({ instance }));
      for (let n = 0; n < 2000; n += 1) answer(JSON.stringify({ instance: `fake-${n}` }));
    });
    const gathered = calls.gather('count', Buffer.from('{}'));
    cluster.pass(3000);
    const instances = (await gathered).map(({ instance }) => instance);
    expect([instances.length, instances.every((name) => name.startsWith('fake-'))]).toEqual([1002, true]);
  });

  it('keeps the answers of several apart', async () => {
    const { cluster, members, calls } = setUp(['b']);
    members[0]?.bus.listen(SUBJECT, (payload, { answer }) =>
      answer(JSON.stringify({ instance: 'b', n: Buffer.from(payload).toString() })),
    );
    const ask = (n: number) => calls.gather('count', Buffer.from(String(n)));
    const gathered = await Promise.all([ask(1), ask(2), ask(3)]);
    expect(gathered.map(([first]) => first?.answer.n)).toEqual(['1', '2', '3']);
    cluster.pass(5000);
    expect(calls.underWay).toBe(0);
  });

  it('is over when the process stops', async () => {
    const { calls, gather, answers } = setUp();
    const gathered = gather();
    calls.stop();
    await gathered;
    expect(answers.done).toEqual([]);
    expect(await calls.gather('count', Buffer.from('{}'))).toEqual([]);
  });
});
