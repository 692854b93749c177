import { describe, expect, it } from 'vitest';
import { createLog, Throttle } from '../src/log.ts';

function capture(format: 'json' | 'text', level = 'info') {
  const lines: string[] = [];
  const log = createLog({ level, format }, { write: (line) => void lines.push(line) });
  return { log, lines };
}

describe('a log line', () => {
  it('is one JSON object with level, time and message, and nothing about the machine', () => {
    const { log, lines } = capture('json');
    log.info({ port: 8080 }, 'listening');
    expect(lines).toHaveLength(1);
    expect(lines[0]?.endsWith('}\n')).toBe(true);
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      port: 8080,
      message: 'listening',
    });
  });

  it('stays one line, whatever a field holds', () => {
    for (const format of ['json', 'text'] as const) {
      const { log, lines } = capture(format);
      log.warn({ error: 'a\r\nFAKE line\u0000' }, 'went wrong');
      expect(lines).toHaveLength(1);
      expect(lines[0]?.trimEnd()).not.toMatch(/[\r\n\0]/);
    }
  });

  it('is for people where it is text', () => {
    const { log, lines } = capture('text');
    log.info({ host: '0.0.0.0', port: 8080 }, 'listening');
    log.error('stopped');
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} INFO {2}listening host="0\.0\.0\.0" port=8080\n$/);
    expect(lines[1]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} ERROR stopped\n$/);
  });

  it('is left out below the level', () => {
    const { log, lines } = capture('json', 'warn');
    log.info('no');
    log.warn('yes');
    expect(lines.map((line) => JSON.parse(line).message)).toEqual(['yes']);
    const silent = capture('json', 'silent');
    silent.log.fatal('no');
    expect(silent.lines).toEqual([]);
  });
});

describe('a throttled kind of line', () => {
  it('passes once an interval and then says how many were held back', () => {
    const throttle = new Throttle(1000);
    expect([0, 10, 999].map((nowMs) => throttle.pass('a', nowMs))).toEqual([0, undefined, undefined]);
    expect(throttle.pass('a', 1000)).toBe(2);
    expect(throttle.pass('a', 1500)).toBeUndefined();
    expect(throttle.pass('a', 5000)).toBe(1);
  });

  it('does not hold back another kind', () => {
    const throttle = new Throttle(1000);
    expect([throttle.pass('a', 0), throttle.pass('b', 0)]).toEqual([0, 0]);
  });
});
