import { describe, expect, it } from 'vitest';
import { Revocations } from '../../src/auth/revocations.ts';
import { systemClock } from '../../src/clock.ts';
import { ManualClock } from '../support/clock.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { startPublisher } from '../support/publisher.ts';
import { command, HOUR_MS, issued, startControl } from './running.ts';

const OUTLASTING =
  'a token is good for longer than a revocation lasts: raise control.revocationTtl, or revoke with expires';

const nowSeconds = () => Math.floor(systemClock.wall() / 1000);

/** A server without JetStream, one instance, and a backend that sends commands. */
async function setUp(options: Parameters<typeof startControl>[1] = {}) {
  const nats = await startNats();
  const running = await startControl(nats, options);
  const { connection: backend } = await startPublisher(nats);
  return { nats, ...running, backend };
}

describe('a revoked user', () => {
  it('loses every stream and is refused; others are not touched', async () => {
    const { streams, refuses, backend } = await setUp();
    streams.add('a', { sub: '42' });
    streams.add('b', { sub: '43' });
    streams.add('c', { sub: '42', jti: 'x' });
    streams.add('nobody');
    expect(await command(backend, 'revoke', { user: '42' })).toEqual([
      { instance: 'one', ok: true, closed: 2, until: expect.any(String), persisted: false },
    ]);
    expect(streams.ended).toEqual(['revoked a', 'revoked c']);
    expect(streams.ids).toEqual(['b', 'nobody']);
    expect([refuses({ sub: '42' }), refuses({ sub: '43' })]).toEqual([true, false]);
  });

  it('may come back with a token that is issued afterwards', async () => {
    const { streams, refuses, backend } = await setUp();
    await command(backend, 'revoke', { user: '42' });
    expect(refuses({ sub: '42', iat: nowSeconds() + 2 })).toBe(false);
    streams.add('later', { sub: '42', iat: nowSeconds() + 2 });
    expect(await command(backend, 'revoke', { user: '42', issuedBefore: nowSeconds() })).toMatchObject([
      { closed: 0 },
    ]);
    expect(streams.ids).toEqual(['later']);
  });

  it('keeps the streams of tokens that were issued after the time that is given, in either form', async () => {
    const { streams, backend } = await setUp();
    const issuedBefore = nowSeconds() - 1000;
    streams.add('old', { sub: '42', iat: issuedBefore });
    streams.add('new', { sub: '42', iat: issuedBefore + 1 });
    streams.add('undated', { sub: '42', iat: undefined });
    await command(backend, 'revoke', { user: '42', issuedBefore });
    expect(streams.ids).toEqual(['new']);
    const text = new Date((issuedBefore + 1) * 1000).toISOString();
    await command(backend, 'revoke', { user: '42', issuedBefore: text });
    expect(streams.ids).toEqual([]);
  });

  it('is refused before the streams end, so that who reconnects at once is not let in', async () => {
    const { streams, refuses, backend } = await setUp();
    const found: boolean[] = [];
    streams.onEnd = () => found.push(refuses({ sub: '42' }));
    streams.add('a', { sub: '42' });
    await command(backend, 'revoke', { user: '42' });
    expect(found).toEqual([true]);
  });
});

describe('a revoked token', () => {
  it('loses its streams, and the user’s other tokens do not', async () => {
    const { streams, refuses, backend } = await setUp();
    streams.add('a', { sub: '42', jti: 'phone' });
    streams.add('b', { sub: '42', jti: 'desk' });
    expect(await command(backend, 'revoke', { tokenId: 'phone' })).toMatchObject([{ ok: true, closed: 1 }]);
    expect(streams.ids).toEqual(['b']);
    expect([refuses({ jti: 'phone' }), refuses({ jti: 'desk' })]).toEqual([true, false]);
  });
});

describe('a revocation', () => {
  it('is answered with when it ends, which is as late as that of any before it', async () => {
    const { backend, lines, refuses } = await setUp({ clock: new ManualClock() });
    const untilOf = async (expires?: string) => {
      const [answer] = await command(backend, 'revoke', { tokenId: 'phone', expires });
      return answer?.until;
    };
    const afterAnHour = '2026-01-01T01:00:00.000Z';
    expect(await untilOf()).toBe(afterAnHour);
    expect(await untilOf('2026-01-01T00:30:00Z')).toBe(afterAnHour);
    expect(await untilOf('2031-01-01T00:00:00Z')).toBe('2031-01-01T00:00:00.000Z');
    expect(await untilOf()).toBe('2031-01-01T00:00:00.000Z');
    expect(lines.filter(({ message }) => message === 'control').map(({ result }) => result)).toContainEqual({
      closed: 0,
      until: '2031-01-01T00:00:00.000Z',
      persisted: false,
    });
    expect(refuses({ jti: 'phone' })).toBe(true);
  });

  it('that cannot be remembered does nothing, and its answer says so; those before go on', async () => {
    const { streams, control, refuses, backend } = await setUp({
      revocations: new Revocations(systemClock, 2),
    });
    for (const user of ['1', '2']) await command(backend, 'revoke', { user });
    streams.add('a', { sub: '3' });
    expect(await command(backend, 'revoke', { user: '3' })).toEqual([
      { instance: 'one', ok: false, error: { code: 'CONTROL_FULL', message: expect.any(String) } },
    ]);
    expect(streams.ids).toEqual(['a']);
    expect(['1', '2', '3'].map((sub) => refuses({ sub }))).toEqual([true, true, false]);
    expect(control.commands).toEqual({ revoke: 2, CONTROL_FULL: 1 });
    expect(await command(backend, 'revoke', { issuedBefore: nowSeconds() })).toMatchObject([
      { ok: true, closed: 1 },
    ]);
  });

  it('of now would end before a token does that is let pass: that is logged, once', async () => {
    const { revocations, logged } = await setUp();
    const pass = (inMs: number) =>
      revocations.isRevoked(issued({ sub: '42', exp: (systemClock.wall() + inMs) / 1000 }));
    pass(HOUR_MS - 60_000);
    expect(logged(OUTLASTING)).toBe(0);
    for (let i = 0; i < 3; i += 1) pass(HOUR_MS + 60_000);
    expect(logged(OUTLASTING)).toBe(1);
  });
});

describe('a revocation of everybody', () => {
  it('ends every stream whose token was issued up to then, and none without a token', async () => {
    const { streams, backend } = await setUp();
    const issuedBefore = nowSeconds() - 1000;
    streams.add('old', { sub: '42', iat: issuedBefore - 1 });
    streams.add('other', { sub: '43', iat: issuedBefore });
    streams.add('new', { sub: '42', iat: issuedBefore + 1 });
    streams.add('nobody');
    const expires = nowSeconds() + 60;
    expect(await command(backend, 'revoke', { issuedBefore, expires })).toMatchObject([{ closed: 2 }]);
    expect(streams.ids).toEqual(['new', 'nobody']);
  });
});

describe('a disconnection', () => {
  it('ends every stream of a user and refuses nothing', async () => {
    const { streams, refuses, backend } = await setUp();
    streams.add('a', { sub: '42' });
    streams.add('b', { sub: '43' });
    streams.add('nobody');
    expect(await command(backend, 'disconnect', { user: '42' })).toEqual([
      { instance: 'one', ok: true, closed: 1 },
    ]);
    expect(streams.ended).toEqual(['disconnected a']);
    expect(refuses({ sub: '42' })).toBe(false);
  });

  it('ends one connection, with or without a token', async () => {
    const { streams, backend } = await setUp();
    streams.add('a', { sub: '42' });
    streams.add('nobody');
    expect(await command(backend, 'disconnect', { connection: 'nobody' })).toMatchObject([{ closed: 1 }]);
    expect(await command(backend, 'disconnect', { connection: 'nobody' })).toMatchObject([{ closed: 0 }]);
    expect(streams.ids).toEqual(['a']);
  });
});

describe('every instance', () => {
  it('acts on a command and answers it by its name', async () => {
    const nats = await startNats();
    const [one, two] = [await startControl(nats), await startControl(nats, { instance: 'two' })];
    const { connection: backend } = await startPublisher(nats);
    one.streams.add('a', { sub: '42' });
    two.streams.add('b', { sub: '42' });
    two.streams.add('c', { sub: '42' });
    const answers = await command(backend, 'revoke', { user: '42' }, 2);
    expect(answers.sort((a, b) => String(a.instance).localeCompare(String(b.instance)))).toEqual([
      { instance: 'one', ok: true, closed: 1, until: expect.any(String), persisted: false },
      { instance: 'two', ok: true, closed: 2, until: expect.any(String), persisted: false },
    ]);
    expect([one.refuses({ sub: '42' }), two.refuses({ sub: '42' })]).toEqual([true, true]);
  });

  it('acts without being asked for an answer', async () => {
    const { nats, streams } = await setUp();
    streams.add('a', { sub: '42' });
    const publisher = await startPublisher(nats);
    await publisher.publish('sidestream.control.disconnect', '{"user":"42"}');
    await poll('the stream to end', () => streams.ended.length === 1);
  });

  it('listens under the prefix that is configured, and only there', async () => {
    const { nats } = await setUp({ prefix: 'acme.live' });
    expect(await nats.subscriptionsTo('acme.live.control.revoke')).toBe(1);
    expect(await nats.subscriptionsTo('sidestream.control.revoke')).toBe(0);
  });
});

describe('a command that is refused', () => {
  const MALFORMED = ['', 'user=42', '[]', 'null', Buffer.from([0xff, 0xfe])];
  const INVALID = [{}, { user: 42 }, { user: '42', reason: 'x' }, { user: '42', tokenId: 'a' }];

  it('does nothing, and its answer says why', async () => {
    const { control, streams, refuses, backend } = await setUp();
    streams.add('a', { sub: '42' });
    for (const payload of MALFORMED) {
      const [answer] = await command(backend, 'revoke', payload);
      expect(answer).toMatchObject({ instance: 'one', ok: false, error: { code: 'CONTROL_MALFORMED' } });
    }
    for (const payload of INVALID) {
      const [answer] = await command(backend, 'disconnect', payload);
      expect(answer).toMatchObject({ ok: false, error: { code: 'CONTROL_INVALID' } });
    }
    const [answer] = await command(backend, 'revoke', { user: 'x'.repeat(20_000) });
    expect(answer).toMatchObject({ ok: false, error: { code: 'CONTROL_TOO_LARGE' } });
    expect([streams.ids, refuses({ sub: '42' })]).toEqual([['a'], false]);
    expect(control.commands).toEqual({
      CONTROL_MALFORMED: MALFORMED.length,
      CONTROL_INVALID: INVALID.length,
      CONTROL_TOO_LARGE: 1,
    });
  });

  it('is logged once a while, without what it held', async () => {
    const { lines, backend, logged } = await setUp();
    for (let i = 0; i < 20; i += 1) await command(backend, 'revoke', '{"user":"hunter2"');
    expect(logged('a command was refused')).toBe(1);
    expect(JSON.stringify(lines)).not.toContain('hunter2');
    expect(lines.find(({ message }) => message === 'a command was refused')).toMatchObject({
      level: 'warn',
      operation: 'revoke',
      code: 'CONTROL_MALFORMED',
    });
  });

  it('because something is broken here is told, and the next one is heard', async () => {
    const { control, streams, backend } = await setUp();
    streams.onEnd = () => {
      throw new Error('broken');
    };
    for (const operation of ['revoke', 'disconnect'] as const)
      expect(await command(backend, operation, { user: '42' })).toMatchObject([
        { ok: false, error: { code: 'CONTROL_FAILED' } },
      ]);
    streams.onEnd = () => {};
    expect(await command(backend, 'revoke', { user: '42' })).toMatchObject([{ ok: true }]);
    expect(control.commands.CONTROL_FAILED).toBe(2);
  });
});

describe('the log', () => {
  it('has a line for each command that was acted on: operation, target, outcome', async () => {
    const { control, streams, lines, backend } = await setUp();
    streams.add('a', { sub: '42' });
    streams.add('b', { sub: '43' });
    const expires = nowSeconds() + 60;
    await command(backend, 'revoke', { user: '42', issuedBefore: '2026-01-01T00:00:00Z', expires });
    await command(backend, 'revoke', { tokenId: 'phone' });
    await command(backend, 'revoke', { issuedBefore: '2026-01-01T00:00:00Z' });
    await command(backend, 'disconnect', { user: '43' });
    await command(backend, 'disconnect', { connection: 'c' });
    const ended = { closed: 0, until: expect.stringMatching(/^20\d\d-.*Z$/), persisted: false };
    const issuedBefore = '2026-01-01T00:00:00Z';
    const lineOf = (operation: string, target: object, result: object) => ({
      ...{ operation, via: 'command', target, outcome: 'ok', result, durationMs: expect.any(Number) },
    });
    const audit = lines.filter(({ message }) => message === 'control');
    expect(audit.map(({ level, time, message, ...fields }) => fields)).toEqual([
      lineOf(
        'revoke',
        { user: '42', issuedBefore, expires },
        { ...ended, until: new Date(expires * 1000).toISOString() },
      ),
      lineOf('revoke', { tokenId: 'phone' }, ended),
      lineOf('revoke', { issuedBefore }, ended),
      lineOf('disconnect', { user: '43' }, { closed: 1 }),
      lineOf('disconnect', { connection: 'c' }, { closed: 0 }),
    ]);
    expect(control.commands).toEqual({ revoke: 3, disconnect: 2 });
  });
});

describe('NATS', () => {
  const users = (sidestream: string) => `authorization { users = [
    { user: sidestream, password: s, permissions: { ${sidestream} } }
    { user: backend, password: b }
  ] }`;
  const login = { user: 'sidestream', pass: 's' };
  const backend = { user: 'backend', pass: 'b' };

  it('may refuse the subjects: that is said once, and when it permits them they are heard', async () => {
    const nats = await startNats({ config: users('subscribe: "_INBOX.>", publish: ">"') });
    const { control, connection, lines, logged } = await startControl(nats, {}, login);
    const told = 'NATS refuses the subject: its commands do not reach this instance';
    await poll('both refusals', () => logged(told) === 2);
    control.reconnected();
    await connection.flush();
    expect(logged(told)).toBe(2);
    expect(lines.filter(({ message }) => message === told).map(({ subject }) => subject)).toEqual([
      'sidestream.control.revoke',
      'sidestream.control.disconnect',
    ]);
    nats.configure(users('subscribe: ">", publish: ">"'));
    await nats.restart();
    for (const operation of ['revoke', 'disconnect'])
      await nats.subscribed(`sidestream.control.${operation}`);
    const { connection: asking } = await startPublisher(nats, backend);
    expect(await command(asking, 'revoke', { user: '42' })).toMatchObject([{ ok: true }]);
  });

  it('may go away and come back, and the next command is heard once', async () => {
    const { nats, streams } = await setUp();
    await nats.kill();
    await nats.start();
    await nats.subscribed('sidestream.control.disconnect');
    let ends = 0;
    streams.onEnd = () => {
      ends += 1;
    };
    const { connection: backend } = await startPublisher(nats);
    expect(await command(backend, 'disconnect', { user: '42' })).toMatchObject([{ ok: true }]);
    expect(ends).toBe(1);
  });

  it('is let go of at the end', async () => {
    const { nats, control, connection } = await setUp();
    await control.stop();
    await connection.flush();
    for (const operation of ['revoke', 'disconnect'])
      expect(await nats.subscriptionsTo(`sidestream.control.${operation}`)).toBe(0);
    expect(connection.isClosed()).toBe(false);
    await control.stop();
  });
});
