import type { Finding, Judgement } from './findings.ts';
import type { Settings } from './schema.ts';

/** What instances hear and say under `control.prefix`, and no browser is to see. */
const PRIVATE = ['api', 'control', 'peer'] as const;

/** No route takes the subjects of the control plane: whoever may read its channels would see every call, and could name them. */
export function checkControl({ control, channels }: Settings, { sound, readable }: Judgement): Finding[] {
  if (!sound('control', 'prefix') || !readable('channels')) return [];
  return Object.entries(channels).flatMap(([name, route]) => {
    const path = ['channels', name, 'subject'];
    if (!readable('channels', name)) return [];
    const { subject } = route;
    if (subject === undefined || !sound(...path)) return [];
    const taken = PRIVATE.find((part) => takes(subject, `${control.prefix}.${part}`));
    if (taken === undefined) return [];
    const message = `takes what instances tell each other on ${control.prefix}.${taken}.> (control.prefix): give one of the two another subject`;
    return [{ path, message }];
  });
}

/** Whether a route's subject takes any subject that begins with these tokens, and has more. */
function takes(template: string, beginning: string): boolean {
  const wanted = beginning.split('.');
  const tokens = template.split('.');
  // That takes in everything, NATS's own subjects too, and has its notice.
  if (tokens[0] === '>') return false;
  if (tokens.length <= wanted.length && tokens.at(-1) !== '>') return false;
  return tokens.slice(0, wanted.length).every((token, i) => token === '>' || covers(token, wanted[i] ?? ''));
}

/** Whether a token of a template can be this one. */
function covers(token: string, literal: string): boolean {
  if (token === '*') return true;
  const [before, ...rest] = token.split(/\{[^}]*\}/);
  if (rest.length === 0) return token === literal;
  const after = rest.at(-1) ?? '';
  return literal.startsWith(before ?? '') && literal.endsWith(after);
}
