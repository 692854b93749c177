import { type Finding, ok, problem, unmeasured, warning } from '../finding.ts';
import { cursorHeader, type Path } from '../path.ts';
import { whyNot } from '../refusal.ts';
import type { Stream } from '../stream.ts';
import { foreign } from '../words.ts';

export interface ResumeSeen {
  /** Why it could not be tried. */
  readonly why?: string;
  /** What was said of each channel to who brought a cursor in the header. */
  readonly header: readonly { readonly resume: string; readonly reason: string }[];
  /** The same by `?lastEventId=`, where the header did not arrive. */
  readonly query?: readonly { readonly resume: string; readonly reason: string }[];
}

/** Comes back as a browser does: with the cursor that `first` has, by the header; where that does not arrive, by the query. */
export async function measureResume(path: Path, first: Stream): Promise<ResumeSeen> {
  const cursor = first.lastId;
  if (cursor === '') return { why: 'the stream has given no cursor', header: [] };
  const headers = cursorHeader(cursor);
  if (headers === undefined) return { why: 'the stream’s cursor is none that a header can hold', header: [] };
  const byHeader = await resumed(path.open({ headers }), path);
  if (typeof byHeader === 'string') return { why: byHeader, header: [] };
  if (!byHeader.every(({ resume }) => resume === 'live')) return { header: byHeader };
  const url = new URL(path.options.url);
  url.searchParams.set('lastEventId', cursor);
  const byQuery = await resumed(path.open({ url }), path);
  return { header: byHeader, ...(typeof byQuery !== 'string' && { query: byQuery }) };
}

async function resumed(stream: Stream, path: Path): Promise<ResumeSeen['header'] | string> {
  await stream.until(stream.settledMs, path.patienceMs);
  const channels = stream.open?.channels;
  path.close(stream);
  return channels ?? whyNot(stream);
}

const GAP_REMEDY = 'the header arrives. See docs/resume.md: how long the route keeps events, and linger';

export function judgeResume({ why, header, query }: ResumeSeen): Finding {
  if (why !== undefined) return unmeasured('resume', foreign(why));
  if (header.length === 0) return unmeasured('resume', 'sidestream.open named no channel');
  const values = { channels: header.length };
  const [worst] = header.filter(({ resume }) => resume !== 'recovered');
  if (worst === undefined) return ok('resume', 'Last-Event-ID arrives: recovered', values);
  if (worst.resume === 'live') {
    const arrives = query?.some(({ resume }) => resume !== 'live') === true;
    const text = `Last-Event-ID does not arrive${arrives ? ', though ?lastEventId= does' : ''}: a client that comes back misses what was sent meanwhile, and is not told`;
    return problem(
      'resume',
      text,
      'let nobody on the way take the request header Last-Event-ID away',
      values,
    );
  }
  const text = `Last-Event-ID arrives: ${foreign(worst.resume)}${worst.reason === '' ? '' : ` (${foreign(worst.reason)})`}`;
  if (worst.resume === 'reset')
    return warning(
      'resume',
      text,
      'another instance answered, and cursors of core routes are of one: feed the route from a stream (docs/resume.md), or keep clients at one instance by session affinity',
      values,
    );
  return warning('resume', text, GAP_REMEDY, values);
}
