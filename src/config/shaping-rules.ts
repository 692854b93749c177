import { compilePattern, Pattern } from '../routing/pattern.ts';
import { isPointer, isWithin, type Pointer } from '../routing/pointer.ts';
import type { Finding, Judgement } from './findings.ts';
import type { Path } from './outline.ts';
import type { Settings } from './schema.ts';
import { formatSize } from './units.ts';

type Route = Settings['channels'][string];

/** One route under judgement. */
interface Checked {
  readonly path: Path;
  readonly route: Route;
  /** Whether keys of the route were read well; what was misread is not judged. */
  sound(...keys: (keyof Route)[]): boolean;
}

/** The rules for what is read from a route's payloads, and for the pace of its channels. */
export function checkShaping(path: Path, route: Route, judgement: Judgement): Finding[] {
  const sound = (...keys: (keyof Route)[]) => keys.every((key) => judgement.sound(...path, key));
  const checked = { path, route, sound };
  return [checkRedact, checkMap, checkTrace, checkBinary, checkLatestBy, checkRateLimit, checkBatch].flatMap(
    (rule) => rule(checked),
  );
}

/** That a single slow reader may have what all of them together may. */
export function checkPending({ limits }: Settings, { sound }: Judgement): Finding[] {
  const [path, other] = [
    ['limits', 'pendingTotal'],
    ['limits', 'pending'],
  ] as const;
  if (!sound(...path) || !sound(...other) || limits.pendingTotal >= limits.pending) return [];
  const message = 'is less than limits.pending lets wait for one reader: raise it, or lower that';
  const detail = `${formatSize(limits.pendingTotal)} against ${formatSize(limits.pending)}`;
  return [{ path, message, detail, quotes: [path, other] }];
}

function checkRedact({ path, route, sound }: Checked): Finding[] {
  if (!sound('redact')) return [];
  return route.redact.flatMap((redaction, index): Finding[] => {
    if (isPointer(redaction)) return [];
    const here = [...path, 'redact', index];
    const { pointer, pattern, flags } = redaction;
    if (pattern === undefined && pointer === undefined)
      return [{ path: here, message: 'says nothing of what to replace: give it a pointer or a pattern' }];
    if (pattern === undefined) {
      const message = 'is of no use without a pattern: take it out';
      return flags === undefined ? [] : [{ path: [...here, 'flags'], at: 'key', message }];
    }
    if (pointer !== undefined) {
      const message = 'is given beside pointer: write two entries';
      return [{ path: [...here, 'pattern'], at: 'key', message }];
    }
    const compiled = compilePattern(pattern, flags);
    if (compiled instanceof Pattern) return [];
    const message = 'is not a usable regular expression';
    return [{ path: [...here, 'pattern'], message, detail: compiled.problem }];
  });
}

function checkTrace({ path, route, sound }: Checked): Finding[] {
  if (!sound('trace', 'envelope') || !route.trace || route.envelope) return [];
  const message = 'needs envelope: true, for an event has no other place where a page could read it';
  return [{ path: [...path, 'trace'], at: 'key', message }];
}

function checkMap({ path, route, sound }: Checked): Finding[] {
  if (!sound('map', 'envelope', 'kv', 'stream')) return [];
  const { map, envelope, kv, stream } = route;
  const findings = (['event', 'id'] as const).flatMap((key) =>
    checkHidden(route, sound('redact'), map[key], [...path, 'map', key]),
  );
  if (map.id !== undefined && !envelope && (kv !== undefined || stream !== undefined)) {
    const message =
      'is of no use here: duplicates are known to the stream by Nats-Msg-Id, and without envelope nobody is sent it';
    findings.push({ path: [...path, 'map', 'id'], at: 'key', message });
  }
  return findings;
}

function checkHidden(
  { redact }: Route,
  isSound: boolean,
  pointer: Pointer | undefined,
  path: Path,
): Finding[] {
  if (!isSound || pointer === undefined) return [];
  const isHidden = redact.some((redaction) => {
    const hidden = isPointer(redaction) ? redaction : redaction.pointer;
    return hidden !== undefined && isWithin(pointer, hidden);
  });
  const message = 'leads to what redact replaces, so that there is nothing to read';
  return isHidden ? [{ path, message }] : [];
}

/** Bytes that are not text hold no JSON, and once in Base64 nothing that a pattern would know. */
function checkBinary({ path, route, sound }: Checked): Finding[] {
  if (!sound('binary') || !route.binary) return [];
  const isGiven = {
    redact: sound('redact') && route.redact.length > 0,
    map: sound('map') && Object.values(route.map).some((pointer) => pointer !== undefined),
    latestBy: sound('latestBy') && route.latestBy !== undefined && route.latestBy !== 'subject',
  };
  const message = 'reads payloads as text, and binary says that they are none: take one of the two out';
  return Object.entries(isGiven).flatMap(([key, given]) =>
    given ? [{ path: [...path, key], at: 'key' as const, message }] : [],
  );
}

function checkLatestBy({ path, route, sound }: Checked): Finding[] {
  const { latestBy, slow, throttle, rateLimit, kv } = route;
  if (latestBy === undefined || !sound('latestBy', 'slow', 'throttle', 'rateLimit', 'kv')) return [];
  const here = [...path, 'latestBy'];
  if (kv !== undefined) {
    const message = 'is given beside kv, where the key says what replaces what: take it out';
    return [{ path: here, at: 'key', message }];
  }
  const isUsed =
    slow === 'latest' || throttle > 0 || (typeof rateLimit === 'object' && rateLimit.over === 'latest');
  if (!isUsed) {
    const message =
      'is of no use: no event replaces another without slow: latest, throttle, or a rateLimit with over: latest';
    return [{ path: here, at: 'key', message }];
  }
  return latestBy === 'subject' ? [] : checkHidden(route, sound('redact'), latestBy.pointer, here);
}

/** Else the last change of a key may be the one that is dropped, and readers keep what was before it. */
function checkRateLimit({ path, route, sound }: Checked): Finding[] {
  const { rateLimit, kv } = route;
  if (kv === undefined || rateLimit === undefined || !sound('rateLimit', 'kv')) return [];
  if (typeof rateLimit === 'object' && rateLimit.over === 'latest') return [];
  const message =
    'cannot drop what is over the rate with kv, where readers would keep an old value: write { rate: 100/s, over: latest } with your rate, or throttle';
  return [{ path: [...path, 'rateLimit'], message }];
}

function checkBatch({ path, route, sound }: Checked): Finding[] {
  const { batch, slow, kv } = route;
  if (!sound('batch', 'slow', 'kv') || typeof batch !== 'object' || batch.as !== 'array') return [];
  const here = [...path, 'batch', 'as'];
  if (kv !== undefined) {
    const message = 'cannot be array with kv, where each value must be known by its key: write events';
    return [{ path: here, message }];
  }
  if (slow !== 'latest') return [];
  const message = 'cannot be array with slow: latest, since a batch is no value of any key: write events';
  return [{ path: here, message }];
}
