import fc from 'fast-check';
import { parseRouteTemplate, type RouteTemplate } from '../../src/routing/template.ts';

/** What may stand for one parameter. */
export const value = fc.stringMatching(/^[A-Za-z0-9_:~-]{1,8}$/);
const literal = fc.stringMatching(/^[A-Za-z0-9_:~-]{1,4}$/);
/** Tokens that an operator may write or a publisher may use, with all that a regular expression would trip over. */
export const subjectToken = fc.stringMatching(/^[a-z0-9$^+?()|[\]/\\_:é-]{1,5}$/);

export interface GeneratedRoute {
  readonly template: RouteTemplate;
  readonly params: readonly string[];
}

/** A channel segment between two dots: text, or one parameter with text around it. */
const segment = fc.oneof(
  literal.map((text) => () => text),
  fc.tuple(fc.oneof(fc.constant(''), literal), fc.oneof(fc.constant(''), literal)).map(
    ([before, after]) =>
      (name: string) =>
        `${before}{${name}}${after}`,
  ),
);

/** Any route that the config may hold: parameters in any order, literal tokens and `*` between them, perhaps a `>` at the end. */
export const route: fc.Arbitrary<GeneratedRoute> = fc
  .record({
    segments: fc.array(segment, { minLength: 1, maxLength: 4 }),
    others: fc.array(fc.oneof(subjectToken, fc.constant('*')), { maxLength: 3 }),
    rest: fc.boolean(),
    order: fc.infiniteStream(fc.nat()),
  })
  .filter(({ segments, others }) => others.length > 0 || segments.some((of) => of('p').includes('{')))
  .map(({ segments, others, rest, order }) => {
    const texts = segments.map((of, index) => of(`p${index}`));
    const params = texts.flatMap((text) => /\{(\w+)\}/.exec(text)?.[1] ?? []);
    const tokens: string[] = [];
    for (const token of [...params.map((name) => `{${name}}`), ...others]) {
      tokens.splice((order.next().value ?? 0) % (tokens.length + 1), 0, token);
    }
    if (rest) tokens.push('>');
    return { template: parseRouteTemplate(texts.join('.'), tokens.join('.')), params };
  });

/** A template with its parameters filled in. */
export function fill(template: string, values: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{(\w+)\}/g, (_, name: string) => values[name] ?? '');
}
