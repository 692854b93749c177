import type { Finding } from './findings.ts';
import type { Config } from './schema.ts';
import { formatSize } from './units.ts';

/** What a worker has of a limit at the least, whatever its share of the whole is. */
const LEAST = { channels: 1, historyBytes: 1 << 20 } as const;

/** Routes that are named. */
const SHOWN = 5;

/** Each process counts the positions of core routes by itself. */
export function checkWorkers({ channels, workers }: Config): Finding[] {
  const cores = Object.entries(channels).filter(
    ([, { source, history }]) => source.kind === 'core' && history.size > 0,
  );
  if (workers === 1 || cores.length === 0) return [];
  const names = cores.slice(0, SHOWN).map(([name]) => name);
  const others = cores.length > SHOWN ? ` and ${cores.length - SHOWN} more` : '';
  const message = `makes several processes, each with a history of its own of core routes (${names.join(', ')}${others}): who comes back to another one is told a reset there; give routes that must miss nothing a stream`;
  return [{ path: ['workers'], message }];
}

/** Where a worker's part of a limit is too small to be of use, or is made larger, so that all together may go above the limit. */
export function checkShares({ limits, workers }: Config): Finding[] {
  // How many workers `auto` is, only the machine knows that runs them.
  if (workers === 'auto' || workers === 1) return [];
  const { historyBytes, pendingBytes, pendingTotalBytes } = limits;
  return [
    ...checkChannels(limits, workers),
    ...checkBytes('history', { bytes: historyBytes, least: LEAST.historyBytes, workers }),
    ...checkBytes('pendingTotal', { bytes: pendingTotalBytes, least: pendingBytes, workers }),
  ];
}

function checkChannels({ channels, channelsPerConnection }: Config['limits'], workers: number): Finding[] {
  if (channels >= channelsPerConnection * workers) return [];
  const path = ['limits', 'channels'];
  const message =
    'is split over the workers, and leaves each fewer channels than limits.channelsPerConnection lets one stream ask for';
  const detail = `${Math.max(LEAST.channels, Math.floor(channels / workers))} each, for ${workers} workers`;
  return [{ path, message, detail, quotes: [['workers'], path] }];
}

interface Share {
  readonly bytes: number;
  /** What each worker has all the same, in bytes. */
  readonly least: number;
  readonly workers: number;
}

function checkBytes(key: 'history' | 'pendingTotal', { bytes, least, workers }: Share): Finding[] {
  if (bytes >= least * workers) return [];
  const path = ['limits', key];
  const message = 'is split over the workers, which is too little: each takes more, and so do all together';
  const detail = `${formatSize(least)} each, for ${workers} workers`;
  return [{ path, message, detail, quotes: [['workers'], path, ['limits', 'pending']] }];
}
