/** How publications get to the client: Server-Sent Events, one JSON object a line, or an answer to each request (long poll). */
export type Transport = 'sse' | 'ndjson' | 'poll';

/** One way to answer. */
export interface Offer {
  readonly transport: Transport;
  /** What goes into `Content-Type`. */
  readonly mediaType: string;
}

const SSE: Offer = { transport: 'sse', mediaType: 'text/event-stream' };

/** What there is, the preferred first: it wins where the client does not mind. */
const OFFERS: readonly Offer[] = [
  SSE,
  { transport: 'ndjson', mediaType: 'application/x-ndjson' },
  { transport: 'ndjson', mediaType: 'application/ndjson' },
  { transport: 'ndjson', mediaType: 'application/jsonl' },
  { transport: 'poll', mediaType: 'application/json' },
];

interface MediaRange {
  /** In lower case, without parameters. */
  readonly type: string;
  /** 0–1; 0 is "not this". */
  readonly weight: number;
}

/**
 * What of ours the client likes best; `undefined` where it takes none of it. RFC 9110 12.5.1: the most specific range that
 * matches a type decides on its weight, the highest weight wins; no header means anything. Parameters but `q` are not looked at.
 */
export function negotiate(accept: string): Offer | undefined {
  if (accept === '' || accept === SSE.mediaType || accept === '*/*') return SSE;
  const ranges = split(accept, ',').map(readRange);
  let best: { readonly offer: Offer; readonly weight: number } | undefined;
  for (const offer of OFFERS) {
    const weight = weightOf(offer.mediaType, ranges);
    if (weight > (best?.weight ?? 0)) best = { offer, weight };
  }
  return best?.offer;
}

function weightOf(mediaType: string, ranges: readonly MediaRange[]): number {
  const [main] = mediaType.split('/');
  for (const type of [mediaType, `${main}/*`, '*/*']) {
    const range = ranges.find((candidate) => candidate.type === type);
    if (range !== undefined) return range.weight;
  }
  return 0;
}

function readRange(text: string): MediaRange {
  const [type = '', ...parameters] = split(text, ';').map((part) => part.trim().toLowerCase());
  const q = parameters.find((parameter) => parameter.startsWith('q='));
  const weight = q === undefined ? 1 : Number(q.slice(2));
  // A weight that cannot be read must not win over one that can.
  return { type, weight: weight >= 0 ? Math.min(weight, 1) : 0 };
}

/** The parts of a list. In a quoted string neither a comma nor a semicolon separates anything. RFC 9110 5.6.4. */
function split(text: string, separator: string): string[] {
  if (!text.includes('"')) return text.split(separator);
  const parts: string[] = [];
  let start = 0;
  let isQuoted = false;
  for (let i = 0; i < text.length; i += 1) {
    const char = text[i];
    if (char === '"') isQuoted = !isQuoted;
    else if (char === '\\' && isQuoted) i += 1;
    else if (char === separator && !isQuoted) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}
