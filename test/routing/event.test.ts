import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EventContext, parseEventTemplate } from '../../src/routing/event.ts';

const context: EventContext = {
  channel: 'prices.ACME',
  subject: 'market.prices.ACME',
  params: { symbol: 'ACME' },
  header: (name) => (name === 'X-Kind' ? 'trade' : undefined),
};
const name = (template: string, params: readonly string[] = ['symbol']) =>
  parseEventTemplate(template, params)(context);

describe('an event template', () => {
  it.each([
    ['price', 'price'],
    ['{channel}', 'prices.ACME'],
    ['{subject}', 'market.prices.ACME'],
    ['{symbol}-tick', 'ACME-tick'],
    ['{header.X-Kind}', 'trade'],
    ['{header.X-Kind}:{symbol}', 'trade:ACME'],
    ['{header.X-Other}', ''],
    ['a{header.X-Other}b', 'ab'],
  ])('%s names the event %j', (template, expected) => {
    expect(name(template)).toBe(expected);
  });

  it.each([
    ['', 'is empty'],
    ['a\nb', 'line break'],
    ['a\0', 'NUL'],
    ['sidestream.close', 'reserved'],
    ['{', 'brace'],
    ['{symbol}}', 'brace'],
    ['{}', 'names {}'],
    ['{other}', 'names {other}; it may name {channel}, {subject}, {symbol}, {header.NAME}'],
    ['{header.}', 'names {header.}'],
    ['{header.X Y}', 'names {header.X Y}'],
    ['{constructor}', 'names {constructor}'],
  ])('%j is refused with what is wrong', (template, problem) => {
    expect(() => parseEventTemplate(template, ['symbol'])).toThrow(
      expect.objectContaining({ code: 'TEMPLATE_INVALID', message: expect.stringContaining(problem) }),
    );
  });

  it('takes any other text as it stands', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (text) => {
        fc.pre(!/[{}\r\n\0]/.test(text) && !text.startsWith('sidestream.'));
        expect(name(text)).toBe(text);
      }),
    );
  });
});
