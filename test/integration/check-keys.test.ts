import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { fileConfig } from '../support/bridge.ts';
import { runCli, writeConfig } from '../support/cli.ts';
import { temporaryFile } from '../support/folder.ts';

const CHANNELS = { members: { channel: 'members', subject: 'members', access: 'authenticated' } };
const SHORT = 'a short sesame';
const oct = (secret: string) => ({ kty: 'oct', k: Buffer.from(secret).toString('base64url') });

const check = (algorithms: readonly string[], key: unknown) =>
  runCli([
    'check',
    '--config',
    writeConfig(fileConfig({ channels: CHANNELS, auth: { jwt: { algorithms, keys: [key] } } })),
  ]);

/** What only shows when the files and the JWKs are read, which a start would do. */
describe('check refuses a key that would end the start:', () => {
  const publicKey = generateKeyPairSync('ed25519').publicKey;
  it.each<[string, string, () => unknown, RegExp]>([
    ['a secret in a file under 32 bytes', 'HS256', () => ({ secretFile: temporaryFile(SHORT) }), /14 bytes/],
    ['a secret as a JWK under 32 bytes', 'HS256', () => ({ jwk: oct(SHORT) }), /14 bytes, but HS256/],
    [
      'a secret in a key set under 32 bytes',
      'HS256',
      () => ({ jwksFile: temporaryFile(JSON.stringify({ keys: [oct(SHORT)] })) }),
      /14 bytes, but HS256/,
    ],
    [
      'a secret where a public key belongs',
      'RS256',
      () => ({ jwk: oct(SHORT.repeat(5)) }),
      /a secret of 70 bytes, but RS256 needs an RSA key/,
    ],
    [
      'a public key as the file of the secret',
      'HS256',
      () => ({ secretFile: temporaryFile(publicKey.export({ format: 'pem', type: 'spki' }).toString()) }),
      /not a secret: name it by publicKey/,
    ],
    [
      'a private key as the public one',
      'EdDSA',
      () => ({
        publicKeyFile: temporaryFile(
          generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
        ),
      }),
      /is a private key/,
    ],
    [
      'a file of something else',
      'EdDSA',
      () => ({ publicKeyFile: temporaryFile(SHORT) }),
      /not a public key or certificate/,
    ],
  ])('%s', async (_, algorithm, key, problem) => {
    const { status, stdout, stderr } = await check([algorithm], key());
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^sidestream: CONFIG_INVALID: key 1 of the issuer without a name/);
    expect(stderr).toMatch(problem);
    expect(stderr).not.toContain('sesame');
  });

  it('and takes what serves', async () => {
    const { status, stdout } = await check(['EdDSA'], { jwk: publicKey.export({ format: 'jwk' }) });
    expect(status).toBe(0);
    expect(stdout).toMatch(/no problems/);
  });
});
