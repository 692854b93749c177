import { generateKeyPairSync } from 'node:crypto';
import {
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { exportPKCS8, importPKCS8, type JWK } from 'jose';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { ALGORITHMS } from '../../src/auth/algorithms.ts';
import type { KeyOptions } from '../../src/auth/configured-keys.ts';
import { MAX_KEYS_TRIED } from '../../src/auth/issuer.ts';
import { RELOAD_INTERVAL_MS } from '../../src/auth/jwt.ts';
import { selfSigned } from '../support/certificate.ts';
import { temporaryFile, temporaryFolder } from '../support/folder.ts';
import { poll } from '../support/poll.ts';
import { type Signer, secretToken, signer, startVerifier, token } from './tokens.ts';

const SECRET = 'thirty-two bytes make the least!';

let rsa: Signer;
let ec: Signer;
let ed: Signer;
beforeAll(async () => {
  [rsa, ec, ed] = await Promise.all([signer('RS256', 'r'), signer('ES256', 'e'), signer('EdDSA', 'd')]);
});

describe('a configured key is taken', () => {
  const algorithms = ['RS256', 'ES256', 'EdDSA', 'HS256'];

  it('inline, as PEM, as a JWK or as a secret', async () => {
    const jwk = { ...rsa.jwk };
    const keys = [{ jwk }, { publicKey: `\n${ec.pem}\n` }, { secret: ` ${SECRET}\n` }];
    const { verdict } = await startVerifier({ algorithms, keys });
    expect(await verdict(await token(rsa))).toBe('42');
    expect(await verdict(await token(ec))).toBe('42');
    expect(await verdict(await secretToken(SECRET))).toBe('42');
  });

  it('from a file, as PEM, as a secret or as a JWK Set', async () => {
    const oct = { kty: 'oct', kid: 's', k: Buffer.from(`${SECRET}!`).toString('base64url') };
    const { verdict } = await startVerifier({
      algorithms,
      keys: [
        { publicKeyFile: temporaryFile(ec.pem) },
        { secretFile: temporaryFile(`${SECRET}\n`) },
        { jwksFile: temporaryFile(JSON.stringify({ keys: [rsa.jwk, ed.jwk, oct] })) },
      ],
    });
    for (const by of [rsa, ec, ed]) expect(await verdict(await token(by))).toBe('42');
    expect(await verdict(await secretToken(SECRET))).toBe('42');
    expect(await verdict(await secretToken(`${SECRET}!`, 'HS256', { header: { kid: 's' } }))).toBe('42');
  });

  it('out of an X.509 certificate', async () => {
    const { certFile, keyFile } = selfSigned();
    const privateKey = await importPKCS8(readFileSync(keyFile, 'utf8'), 'ES256');
    const { verdict } = await startVerifier({ algorithms, keys: [{ publicKeyFile: certFile }] });
    expect(await verdict(await token({ ...ec, privateKey }))).toBe('42');
    expect(await verdict(await token(ec))).toBe('invalid');
  });

  it('for one algorithm alone, where the config says so', async () => {
    const { verdict } = await startVerifier({
      algorithms: ['HS256', 'HS384'],
      keys: [{ secret: SECRET.repeat(2), algorithm: 'HS384' }],
    });
    expect(await verdict(await secretToken(SECRET.repeat(2), 'HS384'))).toBe('42');
    expect(await verdict(await secretToken(SECRET.repeat(2), 'HS256'))).toBe('invalid');
  });

  it('for the algorithms whose hash is no longer than the secret (RFC 7518 3.2)', async () => {
    const { verdict } = await startVerifier({ algorithms: ['HS256', 'HS512'], keys: [{ secret: SECRET }] });
    expect(await verdict(await secretToken(SECRET, 'HS256'))).toBe('42');
    expect(await verdict(await secretToken(SECRET, 'HS512'))).toBe('invalid');
  });
});

describe('the key for a token', () => {
  let another: Signer;
  beforeAll(async () => {
    another = await signer('ES256', 'other');
  });
  const start = (...keys: KeyOptions[]) => startVerifier({ algorithms: ['ES256'], keys });

  it('is the one of its kid, and no other', async () => {
    const { verdict } = await start(
      { kid: 'e', publicKey: another.pem },
      { kid: 'other', publicKey: ec.pem },
    );
    expect(await verdict(await token(ec))).toBe('invalid');
    expect(await verdict(await token(another))).toBe('invalid');
    expect(await verdict(await token({ ...ec, kid: 'other' }))).toBe('42');
  });

  it('is one without a kid, where none has its kid', async () => {
    const { verdict } = await start({ kid: 'other', publicKey: another.pem }, { publicKey: ec.pem });
    expect(await verdict(await token(ec))).toBe('42');
    expect(await verdict(await token({ ...another, kid: 'e' }))).toBe('invalid');
  });

  it('is any, where it names none', async () => {
    const { verdict } = await start(
      { kid: 'other', publicKey: another.pem },
      { kid: 'e', publicKey: ec.pem },
    );
    expect(await verdict(await token({ ...ec, kid: undefined }))).toBe('42');
    expect(await verdict(await token({ ...another, kid: undefined }))).toBe('42');
  });

  it('is one of a bounded number, however many there are', async () => {
    const crowd = Array<KeyOptions>(MAX_KEYS_TRIED - 1).fill({ publicKey: another.pem });
    const within = await start(...crowd, { publicKey: ec.pem });
    expect(await within.verdict(await token(ec))).toBe('42');
    const beyond = await start(...crowd, { publicKey: another.pem }, { publicKey: ec.pem });
    expect(await beyond.verdict(await token(ec))).toBe('invalid');
  });
});

describe('what cannot work ends the start', () => {
  const cases: Record<string, () => KeyOptions | Promise<KeyOptions>> = {
    'no key': () => ({ kid: 'x' }),
    'two keys in one': () => ({ secret: SECRET, publicKey: rsa.pem }),
    'a short secret': () => ({ secret: 'x'.repeat(31) }),
    'a secret padded with white space': () => ({ secret: ` ${'x'.repeat(30)} ` }),
    'an empty secret': () => ({ secret: '' }),
    'a short secret as a JWK': () => ({ jwk: { kty: 'oct', k: 'c2hvcnQ' } }),
    'a secret as a JWK that is not base64url': () => ({ jwk: { kty: 'oct', k: `${'x'.repeat(42)}+/` } }),
    'a public key as the secret': () => ({ secret: rsa.pem }),
    'a public key as the file of the secret': () => ({ secretFile: temporaryFile(rsa.pem) }),
    'a binary file as the secret': () => ({ secretFile: temporaryFile(Buffer.alloc(64, 0xff)) }),
    'a file that is not there': () => ({ secretFile: join(temporaryFolder(), 'none') }),
    'a folder': () => ({ publicKeyFile: temporaryFolder() }),
    'a PEM that is none': () => ({ publicKey: 'MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIB' }),
    'a PEM that is cut off': () => ({ publicKey: rsa.pem.slice(0, 100) }),
    'a private key': async () => ({ publicKey: await exportPKCS8(rsa.privateKey) }),
    'a private JWK': () => ({ jwk: { ...rsa.jwk, d: 'AQAB' } }),
    'a JWK without its members': () => ({ jwk: { kty: 'RSA', e: 'AQAB' } }),
    'a JWK of nonsense': () => ({ jwk: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' } }),
    'a JWK of an unknown kind': () => ({ jwk: { kty: 'constructor' } }),
    'a JWK for encryption': () => ({ jwk: { ...rsa.jwk, use: 'enc' } }),
    'a JWK for signing only': () => ({ jwk: { ...rsa.jwk, key_ops: ['sign'] } }),
    'a JWK whose kid is a number': () => ({ jwk: { ...rsa.jwk, kid: 7 } }),
    'a JWK for another algorithm than the config says': () => ({ jwk: { ...rsa.jwk }, algorithm: 'ES256' }),
    'an algorithm that is not allowed': () => ({ publicKey: rsa.pem, algorithm: 'PS256' }),
    'a curve that no allowed algorithm has': async () => ({ publicKey: (await signer('ES384')).pem }),
    'a key set that is not JSON': () => ({ jwksFile: temporaryFile('keys: []') }),
    'a key set without keys': () => ({ jwksFile: temporaryFile('{}') }),
    'a key set of null': () => ({ jwksFile: temporaryFile('null') }),
    'an empty key set': () => ({ jwksFile: temporaryFile('{"keys":[]}') }),
    'a key set of nothing usable': () => ({ jwksFile: temporaryFile('{"keys":[7,null,{"kty":"x"}]}') }),
    'a kid for a whole key set': () => ({
      kid: 'k',
      jwksFile: temporaryFile(JSON.stringify({ keys: [rsa.jwk] })),
    }),
  };

  it.each(Object.entries(cases))('%s', async (_, make) => {
    const algorithms = ['RS256', 'ES256', 'HS256'];
    const keys = [{ publicKey: ec.pem }, await make()];
    await expect(startVerifier({ algorithms, keys })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/^key 2 of the issuer without a name/),
    });
  });

  it('a weak RSA key', async () => {
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });
    // With the exponent 1 everything is its own signature.
    for (const jwk of [{ ...short }, { ...rsa.jwk, e: 'AQ' }, { kty: 'RSA', n: '!', e: '?' }]) {
      await expect(startVerifier({ keys: [{ jwk }] })).rejects.toThrow('RS256 needs an RSA key of 2048 bits');
    }
  });

  it('no key at all, no algorithm, or one that is none', async () => {
    const keys = [{ publicKey: rsa.pem }];
    await expect(startVerifier({ keys: [] })).rejects.toThrow('neither keys nor a jwksUrl');
    await expect(startVerifier({ keys, algorithms: [] })).rejects.toThrow('allows no algorithm');
    for (const name of ['none', 'None', 'rs256', '', 'constructor', 'dir', 'RSA-OAEP'])
      await expect(startVerifier({ keys, algorithms: ['RS256', name] })).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
      });
    expect(ALGORITHMS).not.toContain('none');
  });

  it('and never repeats a secret', async () => {
    const secret = 'too-short-a-secret';
    for (const key of [
      { secret },
      { secret, jwk: {} },
      { secretFile: temporaryFile(secret) },
      { jwk: { kty: 'oct', k: secret } },
    ]) {
      const error = await startVerifier({ algorithms: ['HS256'], keys: [key] }).catch(
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(Error);
      expect(String(error) + JSON.stringify(error)).not.toContain(secret);
    }
  });
});

describe('a file of keys', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
  afterEach(() => void vi.useRealTimers());

  /** A verifier of what stands in `file`. */
  async function start(file: string) {
    const started = await startVerifier({ algorithms: ['RS256', 'ES256'], keys: [{ jwksFile: file }] });
    const is = (by: Signer, verdict: string) => async () => {
      vi.advanceTimersByTime(RELOAD_INTERVAL_MS);
      return (await started.verdict(await token(by))) === verdict;
    };
    return { ...started, is };
  }

  const set = (...keys: JWK[]) => JSON.stringify({ keys });
  const errors = (lines: readonly string[]) => lines.filter((line) => JSON.parse(line).level === 'error');

  it('is read again when it changes, and only then', async () => {
    const file = temporaryFile(set(rsa.jwk));
    const { verdict, is, lines } = await start(file);
    expect(await verdict(await token(ec))).toBe('invalid');
    writeFileSync(file, set(rsa.jwk, ec.jwk));
    await poll('the new key to work', is(ec, '42'));
    expect(await verdict(await token(rsa))).toBe('42');
    writeFileSync(file, set(ec.jwk));
    await poll('the removed key to work no more', is(rsa, 'invalid'));
    expect(lines.filter((line) => line.includes('read changed keys'))).toHaveLength(2);
  });

  it('is read again when a symbolic link comes to lead elsewhere', async () => {
    // As Kubernetes updates a volume: the file is a link through ..data, which is renamed over.
    // Nothing but the file itself tells old from new: size and time are the same.
    const folder = temporaryFolder();
    const old = await signer('ES256', 'o');
    writeFileSync(join(folder, 'one'), set(old.jwk));
    writeFileSync(join(folder, 'two'), set(ec.jwk));
    for (const name of ['one', 'two']) utimesSync(join(folder, name), 1, 1);
    const file = join(folder, 'keys');
    symlinkSync('one', file);
    const { is, verdict } = await start(file);
    expect(await verdict(await token(old))).toBe('42');
    symlinkSync('two', `${file}.new`);
    renameSync(`${file}.new`, file);
    await poll('the new key to work', is(ec, '42'));
    await poll('the old key to work no more', is(old, 'invalid'));
  });

  it('leaves the old keys at work where its new content is no good, and says so once', async () => {
    const file = temporaryFile(set(rsa.jwk));
    const { verdict, is, lines } = await start(file);
    const bad = ['{"keys":[', set({ kty: 'oct', k: 'secret-but-short' }), ''];
    for (const [index, content] of bad.entries()) {
      writeFileSync(file, content);
      await poll('the complaint', () => {
        vi.advanceTimersByTime(RELOAD_INTERVAL_MS);
        return errors(lines).length > index;
      });
      expect(await verdict(await token(rsa))).toBe('42');
    }
    writeFileSync(file, set(ec.jwk));
    await poll('good keys again', is(ec, '42'));
    expect(errors(lines)).toHaveLength(bad.length);
    expect(lines.join('')).not.toContain('secret-but-short');
  });

  it('leaves the old keys at work where it is gone, and says so once, until it is back', async () => {
    const file = temporaryFile(set(rsa.jwk));
    const { verdict, is, lines } = await start(file);
    unlinkSync(file);
    for (let i = 0; i < 10; i += 1) {
      vi.advanceTimersByTime(RELOAD_INTERVAL_MS);
      await poll('the complaint', () => errors(lines).length > 0);
      expect(await verdict(await token(rsa))).toBe('42');
    }
    expect(errors(lines)).toHaveLength(1);
    writeFileSync(file, set(ec.jwk));
    await poll('good keys again', is(ec, '42'));
  });

  it('is left alone once the verifier stopped', async () => {
    const file = temporaryFile(set(rsa.jwk));
    const { verifier } = await start(file);
    expect(vi.getTimerCount()).toBe(1);
    verifier.stop();
    expect(vi.getTimerCount()).toBe(0);
    rmSync(file);
  });
});
