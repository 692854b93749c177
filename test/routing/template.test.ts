import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isChannelName, parseRouteTemplate } from '../../src/routing/template.ts';
import { fill, route, subjectToken, value } from './templates.ts';

const values = fc
  .array(value, { minLength: 4, maxLength: 4 })
  .map(([p0 = '', p1 = '', p2 = '', p3 = '']) => ({ p0, p1, p2, p3 }));

/** Names as a hostile browser may send them: a good one with something else put in, or rubbish. */
const rubbish = fc.array(
  fc.constantFrom('a', '.', '..', '*', '>', ' ', '\n', '\0', '{p0}', '$SYS', '_INBOX', '%', 'é', '/', '-'),
  { maxLength: 8 },
);

function hostile(name: string, at: number, pieces: readonly string[]): string {
  const cut = at % (name.length + 1);
  return name.slice(0, cut) + pieces.join('') + name.slice(cut);
}

describe('a route template', () => {
  it('gives the channel back from the subject that it made of it, whatever stands for the wildcards', () => {
    fc.assert(
      fc.property(
        route,
        values,
        subjectToken,
        fc.array(subjectToken, { minLength: 1, maxLength: 3 }),
        ({ template, params }, values, star, rest) => {
          const channel = fill(template.channel, values);
          const resolved = template.toSubject(channel);
          // What begins with the NATS prefix for replies is refused where the browser fills the first token.
          const leading = /^\{(\w+)\}/.exec(template.subject)?.[1];
          if (leading !== undefined && fill(`{${leading}}`, values).startsWith('_')) {
            expect(resolved).toBeUndefined();
            return;
          }
          expect(resolved?.subject).toBe(fill(template.subject, values));
          expect(resolved?.params).toEqual(
            Object.fromEntries(Object.entries(values).filter(([name]) => params.includes(name))),
          );
          const tokens = (resolved?.subject ?? '')
            .split('.')
            .flatMap((token) => (token === '*' ? [star] : token === '>' ? rest : [token]));
          expect(template.toChannel(tokens.join('.'))).toBe(channel);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('never widens its subject, whatever name a browser sends', () => {
    fc.assert(
      fc.property(route, values, fc.nat(), rubbish, ({ template }, values, at, pieces) => {
        for (const name of [pieces.join(''), hostile(fill(template.channel, values), at, pieces)]) {
          const resolved = template.toSubject(name);
          if (resolved === undefined) continue;
          const written = template.subject.split('.');
          const tokens = resolved.subject.split('.');
          expect(tokens).toHaveLength(written.length);
          for (const [index, token] of tokens.entries()) {
            if (written[index]?.startsWith('{')) expect(token).toMatch(/^[A-Za-z0-9_:~-]+$/);
            else expect(token).toBe(written[index]);
          }
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('makes of a subject only channels that lead back to a subject which covers it', () => {
    const concrete = fc.array(fc.oneof(value, subjectToken), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(route, concrete, values, ({ template }, others, values) => {
        for (const subject of [
          others.join('.'),
          fill(template.subject, values).replaceAll(/[*>]/g, others[0] ?? 'x'),
        ]) {
          const channel = template.toChannel(subject);
          if (channel === undefined) continue;
          expect(isChannelName(channel)).toBe(true);
          const back = template.toSubject(channel);
          if (back === undefined) expect(subject.startsWith('_')).toBe(true);
          else expect(template.toChannel(subject)).toBe(fill(template.channel, back.params));
        }
      }),
    );
  });

  it('lets no browser reach the replies of others through a first token of its own', () => {
    const template = parseRouteTemplate('{first}.{second}', '{first}.{second}');
    expect(template.toSubject('_INBOX.abc')).toBeUndefined();
    expect(template.toSubject('a._INBOX')?.subject).toBe('a._INBOX');
  });

  it('keeps parameters apart that bear the names of built-in properties', () => {
    const template = parseRouteTemplate('{constructor}.{toString}', 's.{toString}.{constructor}');
    expect(template.toSubject('a.b')?.subject).toBe('s.b.a');
    expect(template.toChannel('s.b.a')).toBe('a.b');
  });

  it('serves no name that is longer than a channel name may be', () => {
    const template = parseRouteTemplate('a{x}', '{x}');
    expect([255, 256].map((length) => template.toSubject(`a${'x'.repeat(length)}`) === undefined)).toEqual([
      false,
      true,
    ]);
  });

  it('makes no channel of a subject whose tokens no channel name can hold', () => {
    const template = parseRouteTemplate('user-{id}', 'users.{id}.>');
    expect(template.toChannel('users.7.mail.new')).toBe('user-7');
    expect(template.toChannel('users.$7.mail')).toBeUndefined();
    expect(template.toChannel('users.7')).toBeUndefined();
    expect(template.toChannel(`users.${'7'.repeat(300)}.mail`)).toBeUndefined();
  });
});

describe('a template that is not usable', () => {
  it.each([
    ['an empty channel', '', 'a', 'is empty'],
    ['an empty subject', 'a', '', 'is empty'],
    ['a brace that is not closed', 'a{b', 'a', 'brace'],
    ['a brace that was not opened', 'a}', 'a', 'brace'],
    ['a parameter without a name', '{}', '{}', 'a name is a letter'],
    ['a parameter that begins with a digit', '{1a}', '{1a}', 'a name is a letter'],
    ['a parameter twice in the channel', '{a}.{a}', '{a}', 'twice'],
    ['a parameter twice in the subject', '{a}', '{a}.{a}', 'twice'],
    ['a channel with characters that no name holds', 'a b', 'a', 'characters'],
    ['a channel with a wildcard', 'a.*', 'a.*', 'characters'],
    ['two parameters that nothing parts', '{a}{b}', '{a}.{b}', 'round-trip'],
    ['two parameters that a value could join', '{a}-{b}', '{a}.{b}', 'round-trip'],
    ['a parameter that is not in the subject', '{a}.{b}', 'x.{a}', 'round-trip'],
    ['a subject that names what the channel does not', '{a}', '{a}.{b}', 'use *'],
    ['a parameter that is part of a token', '{a}', 'x-{a}', 'whole token'],
    ['an empty token', 'a', 'a..b', 'empty token'],
    ['a `>` before the end', 'a', '>.a', '`>`'],
    ['a wildcard inside a token', 'a', 'a*', 'wildcard inside'],
    ['white space', 'a', 'a b', 'white space'],
    ['a subject that is too long', 'a', 'x'.repeat(1025), 'longer than 1024'],
  ])('is refused with what is wrong: %s', (_, channel, subject, problem) => {
    expect(() => parseRouteTemplate(channel, subject)).toThrow(
      expect.objectContaining({ code: 'TEMPLATE_INVALID', message: expect.stringContaining(problem) }),
    );
  });

  it('is refused by its code, never by another error, and never taken where it does not round-trip', () => {
    const piece = fc.constantFrom(
      'a',
      '.',
      '{',
      '}',
      '{a}',
      '{b}',
      '{c}',
      '-',
      '*',
      '>',
      '(',
      '\\',
      ' ',
      '{__proto__}',
      '?<a>',
    );
    const text = fc.array(piece, { maxLength: 7 }).map((pieces) => pieces.join(''));
    fc.assert(
      fc.property(text, text, (channel, subject) => {
        let template: ReturnType<typeof parseRouteTemplate>;
        try {
          template = parseRouteTemplate(channel, subject);
        } catch (error) {
          expect(error).toMatchObject({ code: 'TEMPLATE_INVALID' });
          return;
        }
        const name = fill(channel, { a: '1', b: '2', c: '3' });
        const resolved = template.toSubject(name);
        expect(resolved?.subject).toBe(fill(subject, { a: '1', b: '2', c: '3' }));
        expect(template.toChannel((resolved?.subject ?? '').replaceAll(/[*>]/g, 'x'))).toBe(name);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('a channel name', () => {
  it('is 1 to 256 of its characters and nothing else', () => {
    expect([1, 256, 257, 0].map((length) => isChannelName('x'.repeat(length)))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }), (text) => {
        expect(isChannelName(text)).toBe([...text].every((character) => /[A-Za-z0-9_.:~-]/.test(character)));
      }),
    );
  });
});
