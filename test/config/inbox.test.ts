import { describe, expect, it } from 'vitest';
import { parse, problemsAtMarks } from './marked.ts';

const AUTH = 'auth: { callout: { subject: auth.token } }\n';
const WHERE = 'access: { where: { id: "{claims.sub}" } }';
const config = (route: string) =>
  `${AUTH}channels: { user: { channel: "user-{id}", subject: "notify.{id}", ${route} } }\n`;
const problems = (route: string) => problemsAtMarks(config(route));

const STREAM = 'channels.user.inbox: needs a stream, in which messages wait: name it under stream';
const USER = expect.stringMatching(/^channels\.user\.inbox: needs a channel that is one user’s/);

describe('an inbox', () => {
  it('is there where messages wait in a stream and each channel is one user’s', () => {
    expect(parse(config(`stream: N, inbox: true, ${WHERE}`)).channels.user?.inbox).toBe(true);
    expect(parse(config('access: public')).channels.user?.inbox).toBe(false);
  });

  it('needs a stream', () => {
    expect(problems(`inbox: ▶true, ${WHERE}`)).toEqual([STREAM]);
  });

  it.each([
    'access: public',
    'access: authenticated',
    'access: { claim: rooms }',
    'access: { callout: authz }',
    'access: [{ where: { id: "{claims.sub}" } }, { claim: rooms }]',
  ])('is not for a channel that several may read: %s', (access) => {
    expect(problems(`stream: N, inbox: ▶true, ${access}`)).toEqual([USER]);
  });
});

describe('the bucket of what users have read', () => {
  it.each(['bucket', 'ticketBucket', 'channelBucket'])('cannot be the one that is named under %s', (key) => {
    const control = `control: { ${key}: a, inboxBucket: ▶a }`;
    expect(
      problemsAtMarks(`channels: { a: { channel: a, subject: a, access: public } }\n${control}`),
    ).toEqual([
      'control.inboxBucket: is the bucket of something else: give what users have read one of its own',
    ]);
  });
});
