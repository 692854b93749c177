import type { Finding, Judgement } from './findings.ts';
import type { Path } from './outline.ts';
import type { Settings } from './schema.ts';

type Route = Settings['channels'][string];

/** Messages wait in a stream, and what one reader has read the others have: so all of them must be one user. */
export function checkInbox(path: Path, route: Route, { sound }: Judgement): Finding[] {
  if (!sound(...path, 'inbox') || !route.inbox) return [];
  const findings: Finding[] = [];
  const here = [...path, 'inbox'];
  if (sound(...path, 'stream') && route.stream === undefined)
    findings.push({ path: here, message: 'needs a stream, in which messages wait: name it under stream' });
  if (!sound(...path, 'access') || route.access.length === 0) return findings;
  const isOneUsers = route.access.every((rule) => typeof rule !== 'string' && rule.where !== undefined);
  if (!isOneUsers) {
    const message =
      'needs a channel that is one user’s: have every rule under access be a `where` that gives a parameter of the channel its claim';
    findings.push({ path: here, message, quotes: [[...path, 'access']] });
  }
  return findings;
}
