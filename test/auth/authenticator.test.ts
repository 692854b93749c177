import { describe, expect, it } from 'vitest';
import { Authenticator, type Objection, type Petition } from '../../src/auth/authenticator.ts';
import { type Identity, toIdentity } from '../../src/auth/identity.ts';
import { Revocations } from '../../src/auth/revocations.ts';
import type { Redemption } from '../../src/auth/used-tickets.ts';
import { Router } from '../../src/routing/router.ts';
import { ManualClock } from '../support/clock.ts';
import { routeConfig } from '../support/route.ts';
import { REQUEST } from './cached.ts';

/** An authenticator that knows one ticket, and what is asked of it, in its order. */
function setUp() {
  const clock = new ManualClock();
  const nowMs = clock.wall();
  const identity: Identity = {
    ...toIdentity({ sub: '42', jti: 'one', iat: nowMs / 1000 }),
    ticket: { key: 'one', untilMs: nowMs + 60_000 },
  };
  const revocations = new Revocations(clock);
  const router = new Router({
    mine: routeConfig({
      channel: 'user-{id}',
      subject: 'user.{id}',
      access: [{ kind: 'where', where: { id: 'sub' } }],
    }),
    asked: routeConfig({
      channel: 'room-{id}',
      subject: 'room.{id}',
      access: [{ kind: 'callout', subject: 'may.listen' }],
    }),
  });
  const steps: string[] = [];
  const answers = {
    redeem: async (): Promise<Redemption> => 'first',
    access: async (): Promise<'allow' | 'deny' | 'unavailable'> => 'allow',
    objection: (): Objection | undefined => undefined,
  };
  const authenticator = new Authenticator({
    router,
    revocations,
    jwt: { peek: () => identity, verify: async () => identity },
    redeem: ({ key }) => {
      steps.push(`redeem ${key}`);
      return answers.redeem();
    },
    askAccess: () => {
      steps.push('ask');
      return answers.access();
    },
  });
  const permit = async (channel: string) => {
    const destination = router.resolve(channel);
    const petition: Petition = {
      token: 'a.b.c',
      request: REQUEST,
      client: REQUEST.address,
      destinations: destination === undefined ? [] : [destination],
      mayVerify: () => true,
      objection: () => {
        steps.push('objection');
        return answers.objection();
      },
    };
    const outcome = await authenticator.permit(petition);
    return 'refused' in outcome ? `${outcome.refused}${outcome.badToken ? ' bad' : ''}` : 'permitted';
  };
  return { clock, revocations, steps, answers, permit };
}

describe('a ticket', () => {
  it('is used up last, when nothing else speaks against the stream', async () => {
    const { steps, permit } = setUp();
    expect(await permit('room-1')).toBe('permitted');
    expect(steps).toEqual(['ask', 'objection', 'redeem one']);
  });

  it('is kept by whoever is refused: for the channel, by a callout, for something else', async () => {
    const { steps, answers, permit } = setUp();
    expect(await permit('user-43')).toBe('CHANNEL_FORBIDDEN');
    for (const [access, code] of [
      ['deny', 'CHANNEL_FORBIDDEN'],
      ['unavailable', 'AUTH_UNAVAILABLE'],
    ] as const) {
      answers.access = async () => access;
      expect(await permit('room-1')).toBe(code);
    }
    answers.objection = () => ({ refused: 'DRAINING' });
    expect(await permit('user-42')).toBe('DRAINING');
    expect(steps.filter((step) => step.startsWith('redeem'))).toEqual([]);
  });

  it('that was used, or that nobody can tell about, opens nothing, and is no sign of an attack', async () => {
    const { answers, permit } = setUp();
    answers.redeem = async () => 'used';
    expect(await permit('user-42')).toBe('TOKEN_USED');
    answers.redeem = async () => 'unavailable';
    expect(await permit('user-42')).toBe('AUTH_UNAVAILABLE');
  });

  it('that is revoked before it comes is not used up; while it is being used, it opens nothing', async () => {
    const { clock, revocations, steps, answers, permit } = setUp();
    const revocation = { target: { tokenId: 'one' }, untilMs: clock.wall() + 60_000 };
    answers.redeem = async () => {
      revocations.add(revocation);
      return 'first';
    };
    expect(await permit('user-42')).toBe('TOKEN_REVOKED');
    steps.length = 0;
    expect([await permit('user-42'), steps]).toEqual(['TOKEN_REVOKED', []]);
  });
});
