import { describe, expect, it } from 'vitest';
import { noticesAtMarks, PRIVATE_ROUTE, parse, problemsAtMarks, ROUTE } from './marked.ts';

const ISSUER = 'algorithms: HS256, keys: { secret: a secret of more than thirty-two bytes }';
const jwt = (keys: string) => `${PRIVATE_ROUTE}auth: { token: "query:t", jwt: { ${ISSUER}, ${keys} } }`;

const ticketOf = (keys: string) => parse(jwt(keys)).auth.jwt[0]?.ticket;

describe('an issuer’s ticket', () => {
  it('has defaults for all it holds, and is absent where it is not asked for', () => {
    expect(ticketOf('ticket: {}')).toEqual({ maxAgeMs: 60_000, sessionMs: 3_600_000 });
    expect(ticketOf('ticket: { maxAge: 5s, session: 24d }')).toEqual({
      maxAgeMs: 5000,
      sessionMs: 2_073_600_000,
    });
    expect(ticketOf('issuer: a')).toBeUndefined();
  });

  it.each([
    ['good for no time', 'ticket: { maxAge: ▶0s }', /^auth\.jwt\.ticket\.maxAge: expected a duration/],
    ['good for long', 'ticket: { maxAge: ▶11m }', /^auth\.jwt\.ticket\.maxAge: expected a duration/],
    ['for streams without end', 'ticket: { session: ▶0s }', /^auth\.jwt\.ticket\.session: expected/],
    [
      'for a stream that ends before the ticket does',
      'ticket: { maxAge: 10m, session: ▶5m }',
      /^auth\.jwt\.ticket\.session: is shorter than maxAge/,
    ],
    [
      'with another limit on its age',
      'ticket: {}, ▶maxTokenAge: 1m',
      /^auth\.jwt\.maxTokenAge: is given beside ticket/,
    ],
    [
      'with a tolerance that says more than its age',
      'ticket: { maxAge: 5s }, clockTolerance: ▶6s',
      /^auth\.jwt\.clockTolerance: is longer than ticket\.maxAge/,
    ],
  ])('is refused where it is %s', (_, keys, message) => {
    expect(problemsAtMarks(jwt(keys))).toEqual([expect.stringMatching(message)]);
  });

  it('may have a tolerance as long as its age, and a session as long', () => {
    expect(ticketOf('ticket: { maxAge: 5s, session: 5s }, clockTolerance: 5s')).toEqual({
      maxAgeMs: 5000,
      sessionMs: 5000,
    });
  });

  it('gets a notice where no EventSource could bring it', () => {
    const auth = (token: string) =>
      `${PRIVATE_ROUTE}auth: { token: ${token}, jwt: [{ issuer: a, ${ISSUER} }, { ▶ticket: {}, ${ISSUER} }] }`;
    expect(noticesAtMarks(auth('bearer'))).toEqual([
      expect.stringMatching(/^auth\.jwt\[1\]\.ticket: is for the URL of an EventSource, .* add query:ticket/),
    ]);
    expect(noticesAtMarks(auth('[bearer, "cookie:t"]').replace('▶', ''))).toEqual([]);
  });
});

describe('the bucket of used tickets', () => {
  it('cannot be that of revocations', () => {
    expect(problemsAtMarks(`${ROUTE}control: { bucket: a, ticketBucket: ▶a }`)).toEqual([
      'control.ticketBucket: is the bucket of revocations: give used tickets one of their own',
    ]);
  });
});
