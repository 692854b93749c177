import { describe, expect, it } from 'vitest';
import { closest } from '../../src/config/spelling.ts';

const known = ['listen', 'path', 'trustedProxies', 'cors', 'tls', 'heartbeat', 'retry'];

describe('the closest known word', () => {
  it.each([
    ['lisen', 'listen'],
    ['lsiten', 'listen'],
    ['Listen', 'listen'],
    ['trusted_proxies', 'trustedProxies'],
    ['trusted-proxy', 'trustedProxies'],
    ['heart_beat', 'heartbeat'],
    ['retrys', 'retry'],
    ['core', 'cors'],
    ['tsl', 'tls'],
  ])('to %s is %s', (word, meant) => expect(closest(word, known)).toBe(meant));

  it.each(['', 'x', 'limits', 'subject', 'authentication', 'constructor'])('to %j is none', (word) =>
    expect(closest(word, known)).toBeUndefined(),
  );
});
