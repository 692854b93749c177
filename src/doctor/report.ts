import type { Finding, Verdict } from './finding.ts';
import { MIN_SECRET_LENGTH, plural, printable, withoutSecrets } from './words.ts';

/** Parameters of Sidestream's own that hold no secret. */
const PLAIN_PARAMETERS: ReadonlySet<string> = new Set(['channels', 'lastEventId', 'errors', 'wait', 'limit']);

export interface Report {
  /** As it may be shown. */
  readonly url: string;
  readonly findings: readonly Finding[];
}

/** The report without a secret in it and without what a terminal would obey, whatever a server said. */
export function createReport(url: URL, findings: readonly Finding[], secrets: readonly string[]): Report {
  const hidden = [...secrets, ...secretParameters(url)].filter(({ length }) => length >= MIN_SECRET_LENGTH);
  // A secret may be part of another: the longest first.
  hidden.sort((a, b) => b.length - a.length);
  const clean = (text: string) => printable(withoutSecrets(text, hidden));
  return {
    url: clean(shownUrl(url)),
    findings: findings.map((finding) => ({
      ...finding,
      measured: clean(finding.measured),
      ...(finding.remedy !== undefined && { remedy: clean(finding.remedy) }),
      ...(finding.values !== undefined && {
        values: Object.fromEntries(
          Object.entries(finding.values).map(([name, value]) => [
            name,
            typeof value === 'string' ? clean(value) : value,
          ]),
        ),
      }),
    })),
  };
}

/** Each as it is meant and as it stands there: written anew, `+` and the small letters of `%2f` would be others. */
function secretParameters(url: URL): string[] {
  return url.search
    .slice(1)
    .split('&')
    .flatMap((pair) => {
      const [[name, value] = ['', '']] = new URLSearchParams(pair);
      return PLAIN_PARAMETERS.has(name) ? [] : [value, pair.slice(pair.indexOf('=') + 1 || pair.length)];
    });
}

function shownUrl(url: URL): string {
  const query = [...url.searchParams].map(
    ([name, value]) => `${name}=${PLAIN_PARAMETERS.has(name) ? value : '***'}`,
  );
  return `${url.origin}${url.pathname}${query.length === 0 ? '' : `?${query.join('&')}`}`;
}

const SHOWN: Readonly<Record<Verdict, string>> = {
  ok: 'ok',
  warning: 'warning',
  problem: 'problem',
  unmeasured: 'not measured',
};
const VERDICT_WIDTH = 14;
const ID_WIDTH = 14;

/** For people: a line for each check, a second one with what to change. */
export function formatReport({ url, findings }: Report): string {
  const lines = findings.flatMap(({ id, verdict, measured, remedy }) => [
    `${SHOWN[verdict].padEnd(VERDICT_WIDTH)}${id.padEnd(ID_WIDTH)}${measured}`,
    ...(remedy === undefined ? [] : [`${' '.repeat(VERDICT_WIDTH + ID_WIDTH)}→ ${remedy}`]),
  ]);
  return `${url}\n\n${lines.join('\n')}\n\n${summary(findings)}\n`;
}

function summary(findings: readonly Finding[]): string {
  const count = (verdict: Verdict) => findings.filter((finding) => finding.verdict === verdict).length;
  return `${plural(count('problem'), 'problem')}, ${plural(count('warning'), 'warning')}, ${count('ok')} ok, ${count('unmeasured')} not measured`;
}

/** For machines. */
export function jsonReport(report: Report): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}

export function hasProblem({ findings }: Report): boolean {
  return findings.some(({ verdict }) => verdict === 'problem');
}
