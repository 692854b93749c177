import { MAX_LOGS } from '../protocol/cursor.ts';
import type { Finding, Judgement } from './findings.ts';
import { HISTORY_DEFAULTS, type ReplayConfig } from './history.ts';
import type { Path } from './outline.ts';
import type { Settings } from './schema.ts';
import { formatDuration, formatSize } from './units.ts';

type Route = Settings['channels'][string];
type Key = 'subject' | 'stream' | 'kv' | 'key' | 'warm' | 'replay';

/** One route under judgement. */
interface Checked {
  readonly path: Path;
  readonly route: Route;
  readonly limits: Settings['limits'];
  readonly judgement: Judgement;
  /** A key that was misread is there: whoever wrote it meant something by it. */
  given(key: Key): boolean;
}

/** The rules for what feeds a route, and for what of the past it keeps and replays. */
export function checkSource(path: Path, route: Route, { limits }: Settings, judgement: Judgement): Finding[] {
  const given = (key: Key) => !judgement.sound(...path, key) || route[key] !== undefined;
  const checked = { path, route, limits, judgement, given };
  if (given('stream') && given('kv')) {
    // Which of the two is meant decides on the other keys, so nothing is said of those.
    return [tooMuch(checked, 'kv', 'is given beside stream: a route has one source, so keep one of the two')];
  }
  return [...checkKeys(checked), ...checkReplay(checked), ...checkBytes(checked)];
}

/**
 * That no stream is on more logs than a cursor holds, by the channels that it is on without asking: it would be refused,
 * whatever it asks for. Channels that only some tokens open are not counted.
 */
export function checkAutomaticLogs({ channels }: Settings, { sound }: Judgement): Finding[] {
  const logs = new Set<string>();
  for (const [name, route] of Object.entries(channels)) {
    const path = ['channels', name];
    const isSound = ['channel', 'access', 'automatic', 'stream', 'kv'].every((key) => sound(...path, key));
    if (!isSound || !isForAll(route)) continue;
    logs.add(logOf(route));
    if (logs.size > MAX_LOGS) {
      const message = `is one log more than the ${MAX_LOGS} that a connection can read, and nobody can leave an automatic channel: have pages ask for some of them (all core routes are one log, each stream and each bucket is one more)`;
      return [{ path: [...path, 'automatic'], message }];
    }
  }
  return [];
}

function isForAll({ channel, access, automatic }: Route): boolean {
  const isOpen = access.some((rule) => rule === 'public' || rule === 'authenticated');
  return automatic !== undefined && isOpen && !channel.includes('{');
}

/** A bucket is the stream of that name. */
function logOf({ stream, kv }: Route): string {
  return kv === undefined ? (stream ?? '') : `KV_${kv}`;
}

function checkKeys(checked: Checked): Finding[] {
  const { path, given } = checked;
  const findings: Finding[] = [];
  if (given('warm') && !given('stream'))
    findings.push(tooMuch(checked, 'warm', 'is of no use without a stream to read: take it out'));
  if (!given('kv')) {
    if (given('key')) {
      const message = 'is of no use without its bucket: name that under kv, or write a subject in its place';
      findings.push(tooMuch(checked, 'key', message));
    } else if (!given('subject')) {
      const message = 'is required: the subject template, like market.prices.{symbol}';
      findings.push({ path: [...path, 'subject'], message });
    }
    return findings;
  }
  if (given('subject'))
    findings.push(tooMuch(checked, 'subject', 'is given beside kv: write its keys under key in its place'));
  if (!given('key'))
    findings.push({
      path: [...path, 'key'],
      message: 'is required beside kv: the key template, like app.{app}',
    });
  if (given('replay')) {
    const message = 'is of no use beside kv, where the current values always come first: take it out';
    findings.push(tooMuch(checked, 'replay', message));
  }
  return findings;
}

function checkReplay(checked: Checked): Finding[] {
  const { path, route, judgement, given } = checked;
  if (route.replay === undefined || !judgement.sound(...path, 'replay') || given('kv')) return [];
  return [
    ...checkReplayLimit(checked, route.replay),
    ...(given('stream') ? [] : checkCoreReplay(checked, route.replay)),
  ];
}

function checkReplayLimit({ path, limits, judgement }: Checked, replay: ReplayConfig): Finding[] {
  const limit = ['limits', 'replay'];
  if (replay.kind !== 'last' || !judgement.sound(...limit) || replay.count <= limits.replay) return [];
  const here = [...path, 'replay'];
  const message = 'is more than limits.replay lets a channel give: lower it, or raise that';
  const detail = `${replay.count} against ${limits.replay}`;
  return [{ path: here, message, detail, quotes: [here, limit] }];
}

/** What was published to core NATS is nowhere but in the history. */
function checkCoreReplay({ path, route, judgement }: Checked, replay: ReplayConfig): Finding[] {
  if (replay.kind === 'none' || !judgement.sound(...path, 'history')) return [];
  const { size = HISTORY_DEFAULTS.core.size, age = HISTORY_DEFAULTS.core.ageMs } = route.history;
  const here = [...path, 'replay'];
  const mend = 'raise that, lower this, or name a stream';
  const count = replay.kind === 'last' ? replay.count : 1;
  if (count > size) {
    const message = `asks for more events than history.size keeps on a route without a stream: ${mend}`;
    const quotes = [here, [...path, 'history', 'size']];
    return [{ path: here, message, detail: `${count} against ${size}`, quotes }];
  }
  if (replay.kind !== 'since' || replay.ageMs <= age) return [];
  const message = `asks for older events than history.age keeps on a route without a stream: ${mend}`;
  const quotes = [here, [...path, 'history', 'age']];
  const detail = `${formatDuration(replay.ageMs)} against ${formatDuration(age)}`;
  return [{ path: here, message, detail, quotes }];
}

function checkBytes({ path, route, limits, judgement }: Checked): Finding[] {
  const [here, limit] = [
    [...path, 'history', 'bytes'],
    ['limits', 'history'],
  ];
  if (!judgement.sound(...path, 'history') || !judgement.sound(...limit)) return [];
  const { size, bytes } = route.history;
  if (size === 0 || bytes <= limits.history) return [];
  const message = 'is more than limits.history leaves for all channels together: lower it, or raise that';
  const detail = `${formatSize(bytes)} against ${formatSize(limits.history)}`;
  return [{ path: here, message, detail, quotes: [here, limit] }];
}

function tooMuch({ path }: Checked, key: Key, message: string): Finding {
  return { path: [...path, key], at: 'key', message };
}
