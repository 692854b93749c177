import type { Msg } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { AccessCallouts } from '../../src/auth/access-callout.ts';
import { type CalloutOptions, createCalloutVerifier } from '../../src/auth/callout.ts';
import { type TokenRequest, toIdentity } from '../../src/auth/identity.ts';
import { ManualClock } from '../support/clock.ts';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { type Respond, requestOver, startBackend } from './backend.ts';
import { recordLog } from './recorded-log.ts';

const TOKEN = 'token-of-"anna"';
const REQUEST: TokenRequest = {
  address: '192.0.2.1',
  origin: 'https://app.example',
  userAgent: 'Browser/1.0 "x"',
  channels: ['prices.ACME', 'chat'],
};
const ANNA = toIdentity({ sub: 'anna', roles: ['editor'] });
/** Long enough for any answer; only who waits for a time-out shortens it. */
const OPTIONS: CalloutOptions = {
  subject: 'auth.sidestream',
  timeoutMs: 20_000,
  concurrency: 64,
  maxBytes: 10_000,
};

async function setUp(respond: Respond | undefined, options: Partial<CalloutOptions> = {}) {
  const server = await startNats();
  const request = await requestOver(server);
  const asked = respond === undefined ? [] : (await startBackend(server, OPTIONS.subject, respond)).asked;
  const { log, lines } = recordLog();
  const clock = new ManualClock();
  const [all, deps] = [
    { ...OPTIONS, ...options },
    { log, clock, request },
  ];
  const verifier = createCalloutVerifier(all, deps);
  const cache = { size: 10, allowTtlMs: 0, denyTtlMs: 0 };
  const access = new AccessCallouts({ ...all, cache }, deps);
  return {
    server,
    asked,
    verifier,
    access,
    deps,
    log: lines,
    verify: (token = TOKEN) => verifier.verify(token, REQUEST),
    faults: () => access.counts.faults,
    allow: (channel = 'chat', identity = ANNA) => access.ask(all.subject, identity, channel, REQUEST),
  };
}

const json = (value: unknown): Respond => {
  const text = JSON.stringify(value);
  return (msg) => void msg.respond(text);
};

/** A backend that keeps every question until it is told to answer them. */
async function setUpHolding(options: Partial<CalloutOptions> = {}) {
  const held: Msg[] = [];
  const all = await setUp((msg) => held.push(msg), options);
  const answerHeld = (value: unknown) => {
    for (const msg of held.splice(0)) msg.respond(JSON.stringify(value));
  };
  return { held, answerHeld, ...all };
}

describe('asked who somebody is, the backend', () => {
  it('is told the token and what the request was like', async () => {
    const { verify, asked } = await setUp(json({ claims: { sub: '42' } }));
    await verify();
    expect(asked.map((question) => JSON.parse(question))).toEqual([
      {
        version: 1,
        kind: 'connect',
        token: TOKEN,
        address: '192.0.2.1',
        origin: 'https://app.example',
        userAgent: 'Browser/1.0 "x"',
        channels: ['prices.ACME', 'chat'],
      },
    ]);
  });

  it('names them by claims', async () => {
    const exp = Date.UTC(2026, 0, 1) / 1000 + 60;
    const { verify, verifier, log } = await setUp(json({ claims: { sub: '42', exp, team: 7 } }));
    expect(await verify()).toEqual(toIdentity({ sub: '42', exp, team: 7 }));
    expect(verifier.counts).toMatchObject({ questions: 1, faults: { malformed: 0 } });
    expect(log).toEqual([]);
  });

  it('may say more than we understand', async () => {
    const { verify } = await setUp(json({ version: 2, claims: { sub: '42' }, since: 'later' }));
    expect(await verify()).toMatchObject({ subject: '42' });
  });

  it('refuses them, and may say why', async () => {
    const { verify, log } = await setUp(json({ refused: 'signed out' }));
    expect(await verify()).toEqual({ rejected: 'invalid', detail: 'the callout refused: signed out' });
    expect(log).toEqual([]);
  });

  it('may not make us repeat the token, or much', async () => {
    const quoting = await setUp(
      (msg, { token }) => void msg.respond(JSON.stringify({ refused: `bad ${token}` })),
    );
    expect(JSON.stringify(await quoting.verify())).not.toContain('anna');
    const talking = await setUp(json({ refused: 'x'.repeat(5_000) }));
    expect(JSON.stringify(await talking.verify()).length).toBeLessThan(300);
  });

  it('finds a token expired by the claims it gives', async () => {
    const { verify } = await setUp(json({ claims: { sub: '42', exp: 1_000_000_000 } }));
    expect(await verify()).toMatchObject({ rejected: 'expired' });
  });

  it('is not asked about no token, nor about one of 100 KB', async () => {
    const { verify, asked } = await setUp(json({ claims: {} }));
    expect(await verify('')).toMatchObject({ rejected: 'malformed' });
    expect(await verify('a'.repeat(100_000))).toMatchObject({ rejected: 'malformed' });
    expect(asked).toEqual([]);
  });
});

describe('asked whether somebody may listen, the backend', () => {
  it('is told the channel and who they are', async () => {
    const { allow, asked } = await setUp(json({ allow: true }));
    expect(await allow('prices.ACME')).toBe('allow');
    expect(asked.map((question) => JSON.parse(question))).toEqual([
      {
        version: 1,
        kind: 'subscribe',
        channel: 'prices.ACME',
        claims: { sub: 'anna', roles: ['editor'] },
        address: '192.0.2.1',
      },
    ]);
  });

  it('is told that nobody is known, where there was no token', async () => {
    const { access, asked } = await setUp(json({ allow: false }));
    expect(await access.ask(OPTIONS.subject, undefined, 'chat', REQUEST)).toBe('deny');
    expect(JSON.parse(asked[0] ?? '')).toMatchObject({ claims: null });
  });

  it('denies, and that is no fault', async () => {
    const { allow, faults, log } = await setUp(json({ allow: false, reason: 'not a member' }));
    expect(await allow()).toBe('deny');
    expect(Object.values(faults() ?? {})).toEqual(Array(6).fill(0));
    expect(log).toEqual([]);
  });

  it('is asked each time anew, where nothing else is configured', async () => {
    const { allow, asked } = await setUp(json({ allow: true }));
    await allow();
    await allow();
    expect(asked).toHaveLength(2);
  });
});

/** Answers that are of no use to either question, and how each is counted. All quote the token. */
const USELESS: readonly [string, string, Respond][] = [
  ['nothing', 'malformed', (msg) => void msg.respond()],
  ['no JSON', 'malformed', (msg) => void msg.respond(`no: ${TOKEN}`)],
  ['half of it', 'malformed', (msg) => void msg.respond('{"allow":true,"claims":{"sub":"anna"')],
  ['no UTF-8', 'malformed', (msg) => void msg.respond(Buffer.from([0x7b, 0xff, 0x7d]))],
  ['true', 'malformed', (msg) => void msg.respond('true')],
  ['null', 'malformed', (msg) => void msg.respond('null')],
  ['an array', 'malformed', json([{ allow: true, claims: {} }])],
  ['an empty object', 'malformed', json({})],
  ['something else', 'malformed', json({ status: 'ok', token: TOKEN })],
  ['strings for values', 'malformed', json({ allow: 'true', claims: 'anna' })],
  ['numbers for values', 'malformed', json({ allow: 1, claims: 1 })],
  ['nulls for values', 'malformed', json({ allow: null, claims: null })],
  ['a refusal and claims at once', 'malformed', json({ claims: {}, refused: 'no', allow: [true] })],
  ['a refusal that is no text', 'malformed', json({ refused: { reason: TOKEN } })],
  ['a megabyte', 'too-large', json({ allow: true, claims: { pad: 'x'.repeat(1_000_000) } })],
];

describe('nobody is let in, and the service is called unavailable, when the answer is', () => {
  it.each(USELESS)('%s', async (_, fault, respond) => {
    const { verify, allow, verifier, faults, log } = await setUp(respond);
    const verification = await verify();
    expect(verification).toMatchObject({ rejected: 'unavailable' });
    expect(await allow()).toBe('unavailable');
    for (const counted of [verifier.counts.faults, faults()]) expect(counted).toMatchObject({ [fault]: 1 });
    expect(log.map((line) => JSON.parse(line))).toMatchObject([
      { level: 'warn', service: 'callout', fault },
      { level: 'warn', service: `access callout ${OPTIONS.subject}`, fault },
    ]);
    expect(JSON.stringify([verification, log])).not.toMatch(/token|anna|xxx/);
  });

  it('impossible: nobody listens on the subject', async () => {
    const { verify, allow, verifier, faults } = await setUp(undefined);
    expect(await verify()).toMatchObject({ rejected: 'unavailable', detail: 'unreachable: NoResponders' });
    expect(await allow()).toBe('unavailable');
    expect([verifier.counts.faults.unreachable, faults()?.unreachable]).toEqual([1, 1]);
  });

  it('impossible: the connection to NATS is gone for good', async () => {
    const { verify, allow, server } = await setUp(json({ allow: true, claims: {} }), { timeoutMs: 200 });
    await server.kill();
    expect(await verify()).toMatchObject({ rejected: 'unavailable' });
    expect(await allow()).toBe('unavailable');
  });

  it('none, ever', async () => {
    const { verify, allow, verifier, faults } = await setUpHolding({ timeoutMs: 50 });
    expect(await verify()).toMatchObject({ rejected: 'unavailable' });
    expect(await allow()).toBe('unavailable');
    expect([verifier.counts.faults.timeout, faults()?.timeout]).toEqual([1, 1]);
  });

  it('too late; what comes then is not taken for the answer to the next question', async () => {
    const { held, verify, deps } = await setUpHolding({ timeoutMs: 50 });
    expect(await verify('token of ben')).toMatchObject({ rejected: 'unavailable' });
    const next = createCalloutVerifier(OPTIONS, deps).verify('token of anna', REQUEST);
    await poll('the next question', () => held.length === 2);
    for (const [i, sub] of ['ben', 'anna'].entries()) held[i]?.respond(JSON.stringify({ claims: { sub } }));
    expect(await next).toMatchObject({ subject: 'anna' });
  });

  it.each([
    ['a rejection that tells nothing', () => Promise.reject()],
    [
      'a throw',
      () => {
        throw new Error(TOKEN);
      },
    ],
    ['a promise that is never kept', () => new Promise<never>(() => {})],
  ])('%s of what we ask with', async (_, request) => {
    const { log, lines } = recordLog();
    const deps = { log, clock: new ManualClock(), request };
    const verifier = createCalloutVerifier({ ...OPTIONS, timeoutMs: 50 }, deps);
    expect(await verifier.verify(TOKEN, REQUEST)).toMatchObject({ rejected: 'unavailable' });
    expect(lines).toHaveLength(1);
    expect(lines.join()).not.toContain('anna');
  });
});

describe('a storm', () => {
  it('of one token is one question', async () => {
    const { held, answerHeld, verify, asked } = await setUpHolding();
    const answers = Array.from({ length: 100 }, () => verify());
    await poll('the question', () => held.length > 0);
    answerHeld({ claims: { sub: 'anna' } });
    expect(await Promise.all(answers)).toEqual(Array(100).fill(expect.objectContaining({ subject: 'anna' })));
    expect(asked).toHaveLength(1);
  });

  it('of one user on one channel is one question; another user or channel is another', async () => {
    const { held, answerHeld, allow, asked } = await setUpHolding();
    const answers = Array.from({ length: 100 }, () => allow('chat'));
    answers.push(allow('news'), allow('chat', toIdentity({ sub: 'ben' })));
    await poll('the questions', () => held.length === 3);
    answerHeld({ allow: true });
    expect(new Set(await Promise.all(answers))).toEqual(new Set(['allow']));
    expect(
      asked.map((question) => JSON.parse(question)).map(({ channel, claims }) => [channel, claims.sub]),
    ).toEqual([
      ['chat', 'anna'],
      ['news', 'anna'],
      ['chat', 'ben'],
    ]);
  });

  it('of many tokens is few questions at a time, some that wait, and a refusal at once for the rest', async () => {
    const { held, answerHeld, verify, verifier, asked } = await setUpHolding({ concurrency: 2 });
    const answers = Array.from({ length: 30 }, (_, i) => verify(`token ${i}`));
    const turnedAway = await Promise.all(answers.slice(10));
    expect(turnedAway).toEqual(Array(20).fill(expect.objectContaining({ rejected: 'unavailable' })));
    expect(verifier.counts.faults.busy).toBe(20);
    for (let sent = 2; sent <= 10; sent += 2) {
      await poll('two questions', () => held.length === 2);
      expect(asked).toHaveLength(sent);
      answerHeld({ claims: { sub: 'anna' } });
    }
    const answered = await Promise.all(answers.slice(0, 10));
    expect(answered).toEqual(Array(10).fill(expect.objectContaining({ subject: 'anna' })));
  });
});
