import { generateKeyPairSync } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { describe, expect, it } from 'vitest';
import { type FileConfig, fileConfig, startBridge } from '../support/bridge.ts';
import { runCli, serve, writeConfig } from '../support/cli.ts';
import { temporaryFile } from '../support/folder.ts';
import { startNats } from '../support/nats-server.ts';
import { answerTo, bearer, SECRET } from './protected.ts';

const CHANNELS = {
  members: { channel: 'members', subject: 'members', access: 'authenticated' },
  mine: { channel: 'user-{id}', subject: 'user.{id}', access: { where: { id: '{claims.sub}' } } },
  chat: { channel: 'chat-{room}', subject: 'chat.{room}', access: { claim: 'rooms' } },
  team: { channel: 'team-{id}', subject: 'team.{id}', access: { where: { id: '{claims.team}' } } },
};
const JWT = { algorithms: ['HS256'], keys: [{ secret: SECRET }] };

/** A bridge, and `sidestream token` with the same config. */
async function setUp(jwt: unknown = JWT) {
  const nats = await startNats();
  const config: FileConfig = { channels: CHANNELS, auth: { jwt } };
  const bridge = await startBridge({ nats, config });
  const file = writeConfig(fileConfig(config, nats));
  const sign = (...args: readonly string[]) => runCli(['token', '--config', file, ...args]);
  /** A token that must be printed, alone on a line. */
  const signed = async (...args: readonly string[]) => {
    const { status, stdout, stderr } = await sign(...args);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    return stdout.trim();
  };
  const answer = (token: string, channel: string) => answerTo(bridge, `/events/${channel}`, bearer(token));
  return { sign, signed, answer };
}

function keyPair() {
  return generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
}

describe('a token that is signed for trying out', () => {
  it('opens what a protected channel asks for, for its user and nobody else', async () => {
    const { signed, answer } = await setUp({ ...JWT, issuer: 'https://id.example.com', audience: ['sse'] });
    const token = await signed('--sub', '42');
    expect(decodeJwt(token)).toMatchObject({ iss: 'https://id.example.com', aud: 'sse', sub: '42' });
    expect(await answer(token, 'members')).toBe('200');
    expect(await answer(token, 'user-42')).toBe('200');
    expect(await answer(token, 'user-43')).toBe('403 CHANNEL_FORBIDDEN');
  });

  it('has claims that are JSON, and others that are text', async () => {
    const { signed, answer } = await setUp();
    const claims = ['team=7', 'rooms=["chat-*"]', 'name=Ada = Augusta', 'empty=', 'half={"a":'];
    const token = await signed(...claims.flatMap((claim) => ['--claim', claim]));
    const { iat: _, exp: __, ...rest } = decodeJwt(token);
    expect(rest).toEqual({
      team: 7,
      rooms: ['chat-*'],
      name: 'Ada = Augusta',
      empty: '',
      half: '{"a":',
    });
    expect(await answer(token, 'team-7')).toBe('200');
    expect(await answer(token, 'chat-lobby')).toBe('200');
    expect(await answer(token, 'team-8')).toBe('403 CHANNEL_FORBIDDEN');
  });

  it('is signed with the one algorithm that its key is for', async () => {
    const keys = [{ secret: SECRET.repeat(2), algorithm: 'HS512' }];
    const { signed, answer } = await setUp({ algorithms: ['HS256', 'HS512'], keys });
    expect(await answer(await signed('--sub', '42'), 'members')).toBe('200');
  });

  it.each([
    [[], 3600],
    [['--ttl', '15m'], 900],
    [['--ttl', '1s'], 1],
  ])('with %j expires after %i seconds', async (args, seconds) => {
    const file = writeConfig(fileConfig({ channels: CHANNELS, auth: { jwt: JWT } }));
    const { stdout } = await runCli(['token', '--config', file, ...args]);
    const { iat = Number.NaN, exp = Number.NaN } = decodeJwt(stdout.trim());
    expect(exp - iat).toBe(seconds);
  });
});

describe('where there are several issuers', () => {
  const other = 'another secret of more than thirty-two bytes';
  const issuers = [
    { ...JWT, issuer: 'https://one.example' },
    { algorithms: ['HS384'], keys: [{ kid: 'k2', secret: other.repeat(2) }], issuer: 'https://two.example' },
  ];

  it('the first signs, or the one that is named, each with its own key', async () => {
    const { signed, answer } = await setUp(issuers);
    const first = await signed('--sub', '42');
    const second = await signed('--sub', '42', '--issuer', 'https://two.example');
    expect([first, second].map((token) => decodeJwt(token).iss)).toEqual([
      'https://one.example',
      'https://two.example',
    ]);
    expect(decodeProtectedHeader(second)).toMatchObject({ alg: 'HS384', kid: 'k2' });
    for (const token of [first, second]) expect(await answer(token, 'user-42')).toBe('200');
  });

  it('one that is not there is an error that names those that are', async () => {
    const { sign } = await setUp(issuers);
    const { status, stdout, stderr } = await sign('--issuer', 'https://three.example');
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^sidestream: TOKEN_UNSIGNABLE: /);
    for (const { issuer } of issuers) expect(stderr).toContain(issuer);
  });
});

describe('where an issuer gives tickets', () => {
  const tickets = { ...JWT, issuer: 'tickets', ticket: { maxAge: '90s' } };

  it('one is signed that opens one stream', async () => {
    const { signed, answer } = await setUp([JWT, tickets]);
    const ticket = await signed('--sub', '42', '--ticket');
    const { iss, jti, iat = Number.NaN, exp = Number.NaN } = decodeJwt(ticket);
    expect([iss, exp - iat, jti?.length]).toEqual(['tickets', 90, 36]);
    expect(await answer(ticket, 'user-42')).toBe('200');
    expect(await answer(ticket, 'user-42')).toBe('401 TOKEN_USED');
    expect(decodeJwt(await signed('--ticket')).jti).not.toBe(jti);
  });

  it('one is signed too where that issuer is named, for a shorter time if that is asked for', async () => {
    const { signed, answer } = await setUp([JWT, tickets]);
    const ticket = await signed('--sub', '42', '--issuer', 'tickets', '--ttl', '30s', '--claim', 'jti=mine');
    const { jti, iat = Number.NaN, exp = Number.NaN } = decodeJwt(ticket);
    expect([jti, exp - iat]).toEqual(['mine', 30]);
    expect([await answer(ticket, 'user-42'), await answer(ticket, 'user-42')]).toEqual([
      '200',
      '401 TOKEN_USED',
    ]);
  });

  it('none is signed that would be refused', async () => {
    const { sign } = await setUp([JWT, tickets]);
    for (const [args, text] of [
      [['--ticket', '--ttl', '91s'], 'good for 90 s at most'],
      [['--issuer', 'nobody', '--ticket'], 'auth.jwt has no issuer nobody'],
    ] as const) {
      const { status, stderr } = await sign(...args);
      expect(status).toBe(1);
      expect(stderr).toMatch(/^sidestream: TOKEN_UNSIGNABLE: /);
      expect(stderr).toContain(text);
    }
    const plain = await setUp();
    expect((await plain.sign('--ticket')).stderr).toContain('gives no tickets');
  });
});

describe('a config with public keys only', () => {
  it('cannot sign, and says what would help', async () => {
    const { sign } = await setUp({ algorithms: ['ES256'], keys: [{ publicKey: keyPair().publicKey }] });
    const { status, stdout, stderr } = await sign('--sub', '42');
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^sidestream: TOKEN_UNSIGNABLE: .*--key FILE/);
  });

  it('signs with the private key that is named, whichever of the public ones it belongs to', async () => {
    const pairs = [keyPair(), keyPair()];
    const keys = pairs.map(({ publicKey }, index) => ({ kid: `key-${index}`, publicKey }));
    const { signed, answer } = await setUp({ algorithms: ['ES256'], keys });
    for (const { privateKey } of pairs) {
      const token = await signed('--sub', '42', '--key', temporaryFile(privateKey, 'private.pem'));
      expect(await answer(token, 'user-42')).toBe('200');
    }
  });

  it.each([
    ['is not there', () => '/nowhere/private.pem'],
    ['holds something else', () => temporaryFile('sesame', 'private.pem')],
    ['holds a public key', () => temporaryFile(keyPair().publicKey, 'private.pem')],
  ])('does not sign with a file that %s, and does not show what is in it', async (_, fileOf) => {
    const { sign } = await setUp({ algorithms: ['ES256'], keys: [{ publicKey: keyPair().publicKey }] });
    const file = fileOf();
    const { status, stdout, stderr } = await sign('--key', file);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^sidestream: TOKEN_UNSIGNABLE: /);
    expect(stderr).toContain(file);
    expect(stderr).not.toMatch(/sesame|BEGIN/);
  });
});

describe('bad usage ends it with 2 and signs nothing:', () => {
  it.each([
    ['a lifetime that is none', ['--ttl', 'soon'], '--ttl soon'],
    ['a lifetime under a second', ['--ttl', '999ms'], '--ttl 999ms'],
    ['no lifetime', ['--ttl', '0s'], '--ttl 0s'],
    ['a claim without a value', ['--claim', 'team'], '"team"'],
    ['a claim without a name', ['--claim', '=7'], '"=7"'],
    ['a claim without anything', ['--claim'], '--claim'],
  ])('%s', async (_, args, named) => {
    const file = writeConfig(fileConfig({ channels: CHANNELS, auth: { jwt: JWT } }));
    const { status, stdout, stderr } = await runCli(['token', '--config', file, ...args]);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^sidestream: /);
    expect(stderr).toContain(named);
  });

  it('a config with a problem', async () => {
    const short = { algorithms: ['HS256'], keys: [{ secret: 'short sesame' }] };
    const file = writeConfig(fileConfig({ channels: CHANNELS, auth: { jwt: short } }));
    const { status, stdout, stderr } = await runCli(['token', '--config', file]);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toContain(`${file}:1:`);
    expect(stderr).not.toContain('sesame');
  });
});

describe('what works but is probably not meant', () => {
  const config = fileConfig({ auth: { jwt: JWT } });
  const notice = /every route is public/;

  it('is said by check, with its place, and is no error', async () => {
    const file = writeConfig(config);
    const { status, stdout, stderr } = await runCli(['check', '--config', file]);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toContain(`${file}:1:`);
    expect(stdout).toMatch(notice);
    expect(stdout).not.toContain('no problems');
    expect(stdout).not.toContain(SECRET);
  });

  it('is logged by serve as a warning, and it runs', async () => {
    const { cli } = await serve(config);
    const lines = cli.logs.filter(({ message }) => notice.test(message));
    expect(lines).toMatchObject([{ level: 'warn', key: 'auth', line: 1, column: expect.any(Number) }]);
    expect(cli.stdout).not.toContain(SECRET);
  });
});
