import { describe, expect, it } from 'vitest';
import { openConnection } from './open-connection.ts';

describe('who watches streams', () => {
  it('is told when one is live, and when it ends, with the channels that it was on', () => {
    const { connection, watched, endings } = openConnection({ channels: ['a', 'b'] });
    expect(watched).toEqual(['opened on a b']);
    connection.close('revoked');
    connection.abort('slow');
    expect(watched.slice(1)).toEqual(['ended on a b: revoked']);
    expect([endings, connection.channels]).toEqual([['revoked'], []]);
  });

  it('is told nothing of a stream that ends before it is live', () => {
    const never = new Promise<never>(() => undefined);
    const { connection, watched, endings } = openConnection({
      archive: { newest: () => never, read: () => never },
      // Of a log that has not got there yet: how far it is must be asked.
      cursor: [{ epoch: 'e', offset: 5 }],
    });
    expect(connection.isLive).toBe(false);
    connection.onAborted();
    expect([watched, endings]).toEqual([[], ['client']]);
  });
});
