import { describe, expect, it } from 'vitest';
import { noticesAtMarks, parse, problemsOf, ROUTE } from './marked.ts';

describe('workers', () => {
  it.each([
    ['workers: 1', 1],
    ['workers: 256', 256],
    ['workers: auto', 'auto'],
    [`workers: "\${WORKERS}"`, 3],
    [`workers: "\${UNSET:-auto}"`, 'auto'],
    ['', 1],
  ])('is a number or auto: %s', (text, workers) => {
    expect(parse(`${ROUTE}${text}`, { WORKERS: '3' }).workers).toBe(workers);
  });

  it.each(['0', '257', '1.5', '"2"', 'many', 'AUTO', '[2]'])('is nothing else: %s', (value) => {
    const messages = problemsOf(`${ROUTE}workers: ${value}`).map(({ message }) => message);
    expect(messages).toHaveLength(1);
    expect(messages[0]).toContain('expected a whole number from 1 to 256, or auto');
  });

  it('gets a notice where clients would look for their history in the wrong process', () => {
    const stream = 'channels: { a: { channel: a, subject: a, stream: A, access: public } }\n';
    const forgetful = 'channels: { a: { channel: a, subject: a, access: public, history: { size: 0 } } }\n';
    expect(noticesAtMarks(`${ROUTE}workers: ▶2`)).toEqual([
      'workers: makes several processes, each with a history of its own of core routes (prices): who comes back to another one is told a reset there; give routes that must miss nothing a stream',
    ]);
    for (const text of [`${ROUTE}workers: 1`, `${stream}workers: 2`, `${forgetful}workers: auto`])
      expect(noticesAtMarks(text)).toEqual([]);
  });

  it('gets a notice where a part of a limit is too small for a worker', () => {
    const stream = 'channels: { a: { channel: a, subject: a, stream: A, access: public } }\n';
    const found = (workers: string, limits: string) =>
      noticesAtMarks(`${stream}workers: ${workers}\nlimits: { ${limits} }`);
    expect(found('256', 'channels: ▶10, pendingTotal: ▶1MiB, history: ▶2MiB')).toEqual([
      'limits.channels: is split over the workers, and leaves each fewer channels than limits.channelsPerConnection lets one stream ask for: 1 each, for 256 workers',
      'limits.pendingTotal: is split over the workers, which is too little: each takes more, and so do all together: 256KiB each, for 256 workers',
      'limits.history: is split over the workers, which is too little: each takes more, and so do all together: 1MiB each, for 256 workers',
    ]);
    expect(found('4', 'channels: 64, pendingTotal: 1MiB, history: 4MiB')).toEqual([]);
    expect(found('4', 'channels: ▶63')).toHaveLength(1);
    for (const workers of ['1', 'auto'])
      expect(found(workers, 'channels: 10, pendingTotal: 1MiB, history: 1MiB')).toEqual([]);
  });
});
