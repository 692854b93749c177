import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { overlap, parseRouteTemplate, type RouteTemplate } from '../../src/routing/template.ts';

// Four characters and short templates: most pairs nearly collide, and every short name can be tried.
const ALPHABET = ['a', 'b', '-', '.'];
const LONGEST = 5;
const NAMES = namesUpTo(LONGEST);

function namesUpTo(length: number): string[] {
  let names = [''];
  const all: string[] = [];
  for (let i = 0; i < length; i += 1) {
    names = names.flatMap((name) => ALPHABET.map((character) => name + character));
    all.push(...names);
  }
  return all;
}

const text = fc
  .array(fc.constantFrom(...ALPHABET), { maxLength: 2 })
  .map((characters) => characters.join(''));
const template: fc.Arbitrary<RouteTemplate> = fc
  .array(fc.oneof(text, fc.constant('{}'), fc.constant('.')), { minLength: 1, maxLength: 4 })
  .map((parts) => {
    let count = 0;
    const channel = parts.map((part) => (part === '{}' ? `{p${count++}}` : part)).join('');
    return {
      channel,
      subject: ['s', ...Array.from({ length: count }, (_, index) => `{p${index}}`)].join('.'),
    };
  })
  .filter(({ channel, subject }) => parses(channel, subject))
  .map(({ channel, subject }) => parseRouteTemplate(channel, subject));

function parses(channel: string, subject: string): boolean {
  try {
    parseRouteTemplate(channel, subject);
    return true;
  } catch {
    // SidestreamError TEMPLATE_INVALID: the config would not hold it.
    return false;
  }
}

const matches = ({ toSubject }: RouteTemplate, name: string) => toSubject(name) !== undefined;

describe('two channel templates overlap', () => {
  it('exactly where a name matches both, and then such a name is told', () => {
    let [overlapping, apart] = [0, 0];
    fc.assert(
      fc.property(template, template, (a, b) => {
        const witness = overlap(a, b);
        expect(overlap(b, a) === undefined).toBe(witness === undefined);
        if (witness === undefined) {
          apart += 1;
          expect(NAMES.filter((name) => matches(a, name) && matches(b, name))).toEqual([]);
        } else {
          overlapping += 1;
          expect([matches(a, witness), matches(b, witness)]).toEqual([true, true]);
        }
      }),
      { numRuns: 500 },
    );
    // The property says something only where both outcomes came up often.
    expect(Math.min(overlapping, apart)).toBeGreaterThan(20);
  });

  it.each([
    ['prices.{s}', 'prices.{s}', 'prices.x'],
    ['prices.{s}', 'prices.all', 'prices.all'],
    ['{a}.{b}', 'x.{c}', 'x.x'],
    ['a{x}', '{y}b', 'ab'],
  ])('%s and %s: %s', (a, b, witness) => {
    const parse = (channel: string) =>
      parseRouteTemplate(channel, ['s', ...(channel.match(/\{\w+\}/g) ?? [])].join('.'));
    const found = overlap(parse(a), parse(b));
    expect(found).toBeDefined();
    expect(found?.length).toBe(witness.length);
  });

  it.each([
    ['prices.{s}', 'price.{s}'],
    ['prices.{s}', 'prices.{s}.last'],
    ['user-{id}', 'user:{id}'],
    ['{a}.b', '{a}.c'],
  ])('not: %s and %s', (a, b) => {
    const parse = (channel: string) =>
      parseRouteTemplate(channel, ['s', ...(channel.match(/\{\w+\}/g) ?? [])].join('.'));
    expect(overlap(parse(a), parse(b))).toBeUndefined();
  });
});
