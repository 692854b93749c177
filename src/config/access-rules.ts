import { canVerify } from './auth-rules.ts';
import type { Finding, Judgement } from './findings.ts';
import type { Path } from './outline.ts';
import type { Settings } from './schema.ts';

type Route = Settings['channels'][string];
type Rule = Route['access'][number];

const KINDS = ['where', 'claim', 'callout'] as const;

interface CheckedRoute {
  readonly path: Path;
  readonly route: Route;
  /** Of its channel; `undefined` where the template is wrong. */
  readonly params: readonly string[] | undefined;
}

/** The rules for who may listen: that `access` can be decided, and that an `automatic` channel can be named. */
export function checkAccess(checked: CheckedRoute, { auth }: Settings, { sound }: Judgement): Finding[] {
  const { path, route, params } = checked;
  if (!sound(...path, 'access')) return [];
  const here = [...path, 'access'];
  return [
    ...checkList(route.access, here),
    ...route.access.flatMap((rule, index) => checkRule(rule, [...here, index], params)),
    ...(sound(...path, 'automatic') ? checkAutomatic(checked) : []),
    ...(sound('auth') && !canVerify(auth) ? checkVerifier(route, path) : []),
  ];
}

function checkList(access: Route['access'], path: Path): Finding[] {
  if (access.length === 0)
    return [{ path, message: 'is empty: nobody could read this route; name one rule at least' }];
  if (access.length === 1 || !access.includes('public')) return [];
  const message = 'holds public beside other rules: public is everybody, so keep it alone or take it out';
  return [{ path, message }];
}

function checkRule(rule: Rule, path: Path, params: readonly string[] | undefined): Finding[] {
  if (typeof rule === 'string') return [];
  const [kind, ...others] = KINDS.filter((name) => rule[name] !== undefined);
  if (kind === undefined) return [{ path, message: `holds no rule: give one of ${KINDS.join(', ')}` }];
  if (others.length > 0) {
    const message = `holds ${[kind, ...others].join(' and ')}: any rule of a list lets in, so write each as an item of its own`;
    return [{ path, message }];
  }
  return rule.where === undefined ? [] : checkWhere(Object.keys(rule.where), [...path, 'where'], params);
}

function checkWhere(names: readonly string[], path: Path, params: readonly string[] | undefined): Finding[] {
  if (names.length === 0)
    return [{ path, message: 'is empty, which would let everybody in: name a parameter of the channel' }];
  if (params === undefined) return [];
  const message = 'is no parameter of the channel';
  const detail = `it has ${params.length === 0 ? 'none' : params.join(', ')}`;
  const quotes = [[...path.slice(0, 2), 'channel']];
  return names
    .filter((name) => !params.includes(name))
    .map((name) => ({ path: [...path, name], at: 'key', message, detail, quotes }));
}

function checkAutomatic({ path, route, params = [] }: CheckedRoute): Finding[] {
  const { access, automatic } = route;
  if (automatic === undefined) return [];
  const here = [...path, 'automatic'];
  const obstacle = automatic === 'everyone' ? whyNotEveryone(access, params) : whyNotAuthenticated(access);
  if (obstacle !== undefined) return [{ path: here, message: obstacle }];
  const [where = {}] = access.flatMap((rule) =>
    typeof rule === 'string' || rule.where === undefined ? [] : [rule.where],
  );
  const missing = params.filter((name) => !Object.hasOwn(where, name));
  if (missing.length === 0) return [];
  const message =
    'needs a `where` (the first, if several) that gives each parameter of the channel its claim';
  return [{ path: here, message, detail: `${missing.join(', ')} has none`, quotes: [[...path, 'channel']] }];
}

function whyNotEveryone(access: Route['access'], params: readonly string[]): string | undefined {
  if (!access.includes('public'))
    return 'cannot be everyone on a route that not everyone may read: write authenticated';
  return params.length === 0
    ? undefined
    : 'cannot be everyone on a channel with parameters: no token gives their values';
}

function whyNotAuthenticated(access: Route['access']): string | undefined {
  // A backend is asked about the channels that a client asks for.
  const isCallout = (rule: Rule) => typeof rule !== 'string' && rule.callout !== undefined;
  return access.length > 0 && access.every(isCallout)
    ? 'cannot be decided by a callout alone: give another rule besides'
    : undefined;
}

function checkVerifier({ access, automatic }: Route, path: Path): Finding[] {
  const isPublic = access.every((rule) => rule === 'public');
  if (isPublic && automatic !== 'authenticated') return [];
  const message =
    'needs a token, but nothing says how to check one: add auth.jwt, auth.introspection or auth.callout';
  return [{ path: [...path, isPublic ? 'automatic' : 'access'], message }];
}
