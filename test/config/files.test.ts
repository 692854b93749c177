import { chmodSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config/load.ts';
import { problemsAtMarks, ROUTE } from './marked.ts';

let folder = '';
let config = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidestream-config-'));
  config = join(folder, 'config.yaml');
  for (const name of ['cert.pem', 'key.pem', 'ca.pem', 'a.creds', 'a.nk'])
    writeFileSync(join(folder, name), 'x');
  mkdirSync(join(folder, 'secrets'));
});

afterEach(() => rmSync(folder, { recursive: true }));

function load(text: string) {
  writeFileSync(config, `${ROUTE}${text}`);
  return readConfig(config, {}).config;
}

describe('files that the config names', () => {
  it('are found from the folder of the config file, and come out absolute', () => {
    const { http, nats } = load(`http: { tls: { certFile: cert.pem, keyFile: ./key.pem } }
nats: { auth: { credsFile: a.creds }, tls: { caFile: ${join(folder, 'ca.pem')}, certFile: cert.pem, keyFile: key.pem } }
`);
    expect(http.tls).toEqual({ certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') });
    expect(nats.auth).toEqual({ credsFile: join(folder, 'a.creds') });
    expect(nats.tls).toEqual({
      caFile: join(folder, 'ca.pem'),
      certFile: join(folder, 'cert.pem'),
      keyFile: join(folder, 'key.pem'),
    });
    expect(load('nats: { auth: { nkeySeedFile: a.nk }, tls: { caFile: ca.pem } }').nats).toMatchObject({
      auth: { nkeySeedFile: join(folder, 'a.nk') },
      tls: { caFile: join(folder, 'ca.pem') },
    });
  });

  it('hold no secret where they are larger than any', () => {
    writeFileSync(join(folder, 'secrets/token'), 'x');
    truncateSync(join(folder, 'secrets/token'), 2 ** 33);
    expect(() => load('nats: { auth: { tokenFile: secrets/token } }')).toThrow('is larger than 1 MiB');
  });

  it('give the secret in them, without the white space around it', () => {
    writeFileSync(join(folder, 'secrets/token'), '  s3cret\n');
    writeFileSync(join(folder, 'secrets/password'), 'two words\r\n');
    expect(load('nats: { auth: { tokenFile: secrets/token } }').nats.auth).toEqual({ token: 's3cret' });
    expect(load('nats: { auth: { user: me, passwordFile: secrets/password } }').nats.auth).toEqual({
      user: 'me',
      password: 'two words',
    });
  });

  it('are problems where they are missing, no files, or empty though a secret should be in them', () => {
    writeFileSync(join(folder, 'secrets/empty'), '\n');
    const messages = problemsAtMarks(
      `${ROUTE}http: { tls: { certFile: ▶missing.pem, keyFile: ▶secrets } }
nats: { tls: { caFile: ▶cert.pem/ca.pem }, auth: { tokenFile: ▶secrets/empty } }
`,
      {},
      config,
    );
    expect(messages).toEqual([
      `http.tls.certFile: names a file that does not exist (relative paths start at the config file's folder): ${join(folder, 'missing.pem')}`,
      `http.tls.keyFile: names a file that is not a regular file: ${join(folder, 'secrets')}`,
      `nats.tls.caFile: names a file that does not exist (relative paths start at the config file's folder): ${join(folder, 'cert.pem/ca.pem')}`,
      `nats.auth.tokenFile: names a file that is empty: the secret must stand in it: ${join(folder, 'secrets/empty')}`,
    ]);
  });

  const isRoot = process.getuid?.() === 0;
  if (isRoot) console.warn('The test of a file that may not be read was not run: root may read every file.');
  it.skipIf(isRoot)('are problems where they may not be read', () => {
    chmodSync(join(folder, 'key.pem'), 0o000);
    const messages = problemsAtMarks(
      `${ROUTE}http: { tls: { certFile: cert.pem, keyFile: ▶key.pem } }`,
      {},
      config,
    );
    expect(messages[0]).toContain('may not be read');
  });

  it('come in pairs: a certificate with its key', () => {
    const messages = problemsAtMarks(
      `${ROUTE}http:\n  ▶tls: { certFile: cert.pem }\nnats:\n  ▶tls: { caFile: ca.pem, keyFile: key.pem }\n`,
      {},
      config,
    );
    expect(messages).toEqual([
      'http.tls.keyFile: is missing: certFile is given, and a certificate and its key go together',
      'nats.tls.certFile: is missing: keyFile is given, and a certificate and its key go together',
    ]);
  });

  it('stand in for a secret, not beside it', () => {
    writeFileSync(join(folder, 'secrets/token'), 's3cret');
    const messages = problemsAtMarks(
      `${ROUTE}nats: { auth: { token: x, ▶tokenFile: secrets/token } }\n`,
      {},
      config,
    );
    expect(messages).toEqual(['nats.auth.tokenFile: is given beside token: keep one of the two']);
  });
});
