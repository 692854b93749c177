import { SidestreamError } from '../errors.ts';
import { parseEventTemplate } from '../routing/event.ts';
import { overlap, parseRouteTemplate, type RouteTemplate } from '../routing/template.ts';
import { checkAccess } from './access-rules.ts';
import { checkDynamic } from './dynamic-rules.ts';
import type { Finding, Judgement } from './findings.ts';
import { checkInbox } from './inbox-rules.ts';
import { formatPath, type Path } from './outline.ts';
import { ROUTE_NAME_PATTERN } from './routes.ts';
import type { Settings } from './schema.ts';
import { checkShaping } from './shaping-rules.ts';
import { checkAutomaticLogs, checkSource } from './source-rules.ts';

type Route = Settings['channels'][string];

/** A route whose channel template is in order; the subject may not be. */
interface Candidate {
  readonly name: string;
  readonly template: RouteTemplate;
  /** Of its channel, what stands before the first parameter. */
  readonly start: string;
}

/** The rules for routes: names, templates, and that no channel name matches two of them. */
export function checkRoutes(settings: Settings, judgement: Judgement): Finding[] {
  if (!judgement.readable('channels')) return [];
  const routes = Object.entries(settings.channels);
  if (routes.length === 0) {
    return [{ path: ['channels'], at: 'key', message: 'holds no route: add at least one' }];
  }
  const findings: Finding[] = routes.flatMap(([name]) => checkName(name));
  const candidates: Candidate[] = [];
  for (const [name, route] of routes) {
    if (!judgement.readable('channels', name)) continue;
    const path = ['channels', name];
    const template = checkTemplates(findings, path, route, judgement);
    findings.push(...checkAccess({ path, route, params: template?.params }, settings, judgement));
    findings.push(...checkSource(path, route, settings, judgement));
    findings.push(...checkShaping(path, route, judgement), ...checkDynamic(path, route, judgement));
    findings.push(...checkInbox(path, route, judgement));
    if (template === undefined) continue;
    const candidate = { name, template, start: literalStart(template) };
    findings.push(...checkOverlap(candidate, candidates));
    candidates.push(candidate);
  }
  return [...findings, ...checkAutomaticLogs(settings, judgement)];
}

/** Whether a route may be called so. */
export function checkName(name: string): Finding[] {
  if (new RegExp(ROUTE_NAME_PATTERN).test(name)) return [];
  const message = 'is no name for a route: use 1 to 64 of a to z, 0 to 9, _ and -, a letter first';
  return [{ path: ['channels', name], at: 'key', message }];
}

/** Checks each template of a route as far as what it builds on is in order; gives what the channel template is alone. */
function checkTemplates(
  findings: Finding[],
  path: Path,
  route: Route,
  { sound }: Judgement,
): RouteTemplate | undefined {
  if (!sound(...path, 'channel')) return undefined;
  const { channel, event } = route;
  const quoting = (...keys: string[]) => keys.map((key) => [...path, key]);
  const alone = attempt(findings, path, quoting('channel'), () =>
    parseRouteTemplate(channel, anySubject(channel)),
  );
  if (alone === undefined) return undefined;
  // Of a key-value route the key is the part that is written as a subject is.
  const half = sound(...path, 'kv') && route.kv === undefined ? 'subject' : 'key';
  const subject = route[half];
  if (subject !== undefined && sound(...path, half)) {
    const parse = () => parseRouteTemplate(channel, subject);
    attempt(findings, path, quoting('channel', half), parse, half);
  }
  if (event !== undefined && sound(...path, 'event')) {
    attempt(findings, path, quoting('channel', 'event'), () => parseEventTemplate(event, alone.params));
  }
  return alone;
}

/** A subject that fits the channel, so that the channel can be judged whatever its own subject is. */
function anySubject(channel: string): string {
  return ['x', ...(channel.match(/\{[^{}]*\}/g) ?? [])].join('.');
}

/** What is parsed, or nothing and a finding at the key that is to blame; `subject` is what the file calls that half. */
function attempt<T>(
  findings: Finding[],
  route: Path,
  quotes: readonly Path[],
  parse: () => T,
  subject = 'subject',
): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof SidestreamError) || error.code !== 'TEMPLATE_INVALID') throw error;
    const { kind } = error.fields;
    const key = kind === 'subject' ? subject : String(kind);
    const message = `is not a usable ${key} template`;
    const detail = error.message.replace(/^subject/, subject);
    findings.push({ path: [...route, key], message, detail, quotes });
    return undefined;
  }
}

function checkOverlap({ name, template, start }: Candidate, earlier: readonly Candidate[]): Finding[] {
  for (const other of earlier) {
    // Most pairs part in their first letters; the search for a shared name costs a thousand times as much.
    if (!start.startsWith(other.start) && !other.start.startsWith(start)) continue;
    const witness = overlap(other.template, template);
    if (witness !== undefined) return [overlapFinding(name, other.name, witness)];
  }
  return [];
}

function overlapFinding(name: string, other: string, witness: string): Finding {
  const begin = 'a channel name must match one route only, so begin them differently';
  return {
    path: ['channels', name, 'channel'],
    message: `overlaps route ${formatPath([other])}: ${begin}`,
    detail: `both match ${JSON.stringify(witness)}`,
    quotes: [
      ['channels', name, 'channel'],
      ['channels', other, 'channel'],
    ],
  };
}

function literalStart(template: RouteTemplate): string {
  return template.channel.split('{', 1)[0] ?? '';
}
