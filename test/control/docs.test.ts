import { readFileSync } from 'node:fs';
import { Kvm } from '@nats-io/kv';
import { describe, expect, it } from 'vitest';
import { CONTROL_CODES } from '../../src/control/codes.ts';
import { disconnect } from '../../src/control/operations/disconnect.ts';
import { revoke } from '../../src/control/operations/revoke.ts';
import { keyOf } from '../../src/control/revocation/record.ts';
import { CONTROL_STATUS } from '../../src/control/status.ts';
import { ACT_REFUSALS } from '../../src/reasons.ts';
import { SHARED } from '../integration/ticketed.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { startPublisher } from '../support/publisher.ts';
import { BUCKET, command, persistent, startControl, startPersistent } from './running.ts';
import { openBucket } from './stored.ts';
import { startBucket, TICKET_BUCKET } from './ticket-running.ts';

const pageOf = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
const CONTROL_PAGE = pageOf('control.md');
const PAGE = pageOf('revocation.md');
const COMMANDS = [...PAGE.matchAll(/^\$ nats (req|pub) (\S+) '([^']*)'/gm)];
const [, PERMISSIONS = ''] = /^```conf\n([\s\S]*?)^```$/m.exec(CONTROL_PAGE) ?? [];

/** As the page has them. */
const login = (user: string, n: number) => ({ user, pass: `change-me-${n}` });

async function startGuarded(): Promise<NatsServer> {
  return startNats({ jetStream: true, config: PERMISSIONS });
}

describe('the page on control', () => {
  it('explains every code, with its status', () => {
    const rows = [...CONTROL_PAGE.matchAll(/^\| `([A-Z_]+)` \| (\d+) \| (.*) \|$/gm)];
    expect(Object.fromEntries(rows.map(([, code, , text]) => [code, text]))).toEqual(CONTROL_CODES);
    expect(Object.fromEntries(rows.map(([, code, status]) => [code, Number(status)]))).toEqual(
      CONTROL_STATUS,
    );
  });

  it('explains every reason for which a stream is not put on a channel', () => {
    const [, section = ''] = /^### subscribe\n([\s\S]*?)^### /m.exec(CONTROL_PAGE) ?? [];
    const rows = [...section.matchAll(/^\| `([A-Z_]+)` \| (.*) \|$/gm)];
    expect(Object.fromEntries(rows.map(([, code, text]) => [code, text]))).toEqual(ACT_REFUSALS);
  });
});

describe('the page on revocation', () => {
  it('names every subject', () => {
    const rows = [...PAGE.matchAll(/^\| `sidestream\.control\.(\w+)` \|/gm)].map(
      ([, operation]) => operation,
    );
    expect(rows).toEqual([revoke.name, disconnect.name]);
  });

  it('shows commands that are taken, of every form', async () => {
    const nats = await startNats();
    await startControl(nats);
    const { connection } = await startPublisher(nats);
    const fields = new Set<string>();
    for (const [, , subject = '', payload = ''] of COMMANDS) {
      const answer = await connection.request(subject, payload);
      expect(answer.json(), payload).toMatchObject({ ok: true });
      for (const field of Object.keys(JSON.parse(payload))) fields.add(field);
    }
    expect([...fields].sort()).toEqual(['connection', 'expires', 'issuedBefore', 'tokenId', 'user']);
  });

  it('shows answers with the fields that come', async () => {
    const nats = await startNats();
    await startControl(nats);
    const { connection } = await startPublisher(nats);
    const shown = [...PAGE.matchAll(/^\| `(\{"instance".*\})` \|/gm)].map(([, json = '']) =>
      JSON.parse(json),
    );
    const came = [
      ...(await command(connection, 'revoke', { user: '42' })),
      ...(await command(connection, 'revoke', {})),
    ];
    const types = (answer: object) => Object.entries(answer).map(([name, value]) => [name, typeof value]);
    expect(shown.map(types)).toEqual(came.map(types));
    expect(Object.keys(shown[1].error)).toEqual(['code', 'message']);
  });

  it('shows where a user’s revocation is and what it looks like', () => {
    const [, json = ''] = /^(\{"user".*\})$/m.exec(PAGE) ?? [];
    const { user, issuedBeforeMs } = JSON.parse(json);
    expect(keyOf({ user, issuedBeforeMs })).toMatch(/^user\.[0-9a-f]{64}$/);
    expect(PAGE).toContain('user.$(printf 42 | sha256sum | cut -c1-64)');
    expect(PAGE).toContain(`nats kv get ${BUCKET} `);
  });
});

describe('the permissions on the page', () => {
  it('are enough for Sidestream and for the backend', async () => {
    const nats = await startGuarded();
    const running = await startPersistent(nats, {}, login('sidestream', 1));
    const { connection: backend } = await startPublisher(nats, login('backend', 2));
    expect(await command(backend, 'revoke', { user: '42' })).toMatchObject([{ ok: true, persisted: true }]);
    expect(await command(backend, 'disconnect', { user: '42' })).toMatchObject([{ ok: true }]);
    // With another time the bucket is changed, and everything is read again.
    const later = await startControl(nats, { revocationTtlMs: 2 * 3_600_000 }, login('sidestream', 1));
    await persistent(later);
    expect(later.refuses({ sub: '42' })).toBe(true);
    expect((await (await openBucket(later.connection)).status()).ttl).toBe(2 * 3_600_000);
    expect([...running.lines, ...later.lines].filter(({ level }) => level !== 'info')).toEqual([]);
  });

  it('let Sidestream keep used tickets in their bucket, make it and lengthen it', async () => {
    const nats = await startGuarded();
    const { bucket, lines } = await startBucket(nats, login('sidestream', 1));
    expect([await bucket.claim('a'), await bucket.claim('a'), lines]).toEqual(['first', 'used', [SHARED]]);
    const shorter = await startGuarded();
    const { connection: maker } = await startPublisher(shorter, login('sidestream', 1));
    await new Kvm(maker).create(TICKET_BUCKET, { ttl: 10_000 });
    expect(await (await startBucket(shorter, login('sidestream', 1))).bucket.claim('a')).toBe('first');
  });

  it('keep others from commands and from the bucket', async () => {
    const nats = await startGuarded();
    const { control, streams } = await startPersistent(nats, {}, login('sidestream', 1));
    streams.add('a', { sub: '42' });
    const { connection: app } = await startPublisher(nats, login('app', 3));
    for (const subject of [
      'sidestream.control.revoke',
      'sidestream.control.disconnect',
      `$KV.${BUCKET}.everybody`,
      `$JS.API.STREAM.DELETE.KV_${BUCKET}`,
      `$JS.API.STREAM.PURGE.KV_${BUCKET}`,
      `$KV.${TICKET_BUCKET}.a`,
      `$JS.API.STREAM.DELETE.KV_${TICKET_BUCKET}`,
    ])
      await expect(app.request(subject, '{"user":"42"}'), subject).rejects.toThrow(/permissions violation/i);
    const { connection: backend } = await startPublisher(nats, login('backend', 2));
    await expect(backend.request(`$KV.${BUCKET}.everybody`, '{}')).rejects.toThrow(/permissions violation/i);
    expect([streams.ids, control.commands, control.persistent]).toEqual([['a'], {}, true]);
  });
});
