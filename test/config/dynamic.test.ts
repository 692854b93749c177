import { describe, expect, it } from 'vitest';
import { parse, problemsAtMarks, ROUTE } from './marked.ts';

describe('a dynamic route', () => {
  it('is not one on which streams are without asking', () => {
    const route = (keys: string) => `channels: { a: { channel: a, subject: a, access: public, ${keys} } }`;
    expect(problemsAtMarks(route('dynamic: true, automatic: ▶everyone'))).toEqual([
      expect.stringMatching(/^channels\.a\.automatic: is given beside dynamic: /),
    ]);
    expect(parse(route('dynamic: false, automatic: everyone')).channels.a?.automatic).toBe('everyone');
    expect(parse(route('dynamic: true')).channels.a?.dynamic).toBe(true);
  });
});

describe('the bucket of channels', () => {
  it('cannot be that of revocations, or of used tickets', () => {
    const problem = (of: string) =>
      `control.channelBucket: is the bucket of ${of}: give channels one of their own`;
    expect(problemsAtMarks(`${ROUTE}control: { bucket: a, channelBucket: ▶a }`)).toEqual([
      problem('revocations'),
    ]);
    expect(problemsAtMarks(`${ROUTE}control: { ticketBucket: a, channelBucket: ▶a }`)).toEqual([
      problem('used tickets'),
    ]);
  });
});
