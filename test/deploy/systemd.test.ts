import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { findProgram } from '../support/child.ts';
import { runCli } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const UNIT = readFileSync(join(ROOT, 'deploy/systemd/sidestream.service'), 'utf8');
/** Out of 100, of which less is better; a service without any of it has 96. */
const EXPOSURE = '15';

const analyze = findProgram('SYSTEMD_ANALYZE_BIN', 'systemd-analyze');
const why =
  process.env.SIDESTREAM_NO_SYSTEMD ?? (analyze === undefined ? 'there is no systemd-analyze' : undefined);
if (why !== undefined) console.warn(`The unit file was not checked by systemd: ${why}.`);

/** The values of a setting, in order. */
const values = (name: string) =>
  [...UNIT.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value = '']) => value);

/** What systemd-analyze says of the unit, with the program where it is on this machine. */
function analyzed(args: readonly string[], unit = UNIT) {
  const file = join(temporaryFolder(), 'sidestream.service');
  writeFileSync(file, unit.replaceAll('/usr/bin/node', process.execPath).replaceAll('/opt/sidestream', ROOT));
  const { status, stderr } = spawnSync(analyze ?? '', [...args, file], { encoding: 'utf8' });
  return { status, complaints: stderr.split('\n').filter((line) => line.includes('sidestream.service')) };
}

describe.skipIf(why !== undefined)('the unit file', () => {
  const VERIFY = ['verify', '--man=no', '--recursive-errors=no'];

  it('has nothing that systemd does not know', () => {
    expect(analyzed(VERIFY).complaints).toEqual([]);
    const { complaints } = analyzed(VERIFY, UNIT.replace('ProtectHome=', 'ProtectHouse='));
    expect(complaints.join()).toContain('ProtectHouse');
  });

  it('leaves the service little of what the machine offers', () => {
    const security = ['security', '--offline=true', `--threshold=${EXPOSURE}`, '--no-pager'];
    expect(analyzed(security).status).toBe(0);
    expect(analyzed(security, UNIT.replace('DynamicUser=yes', '')).status).not.toBe(0);
  });
});

describe('the unit file and the defaults', () => {
  const { config } = parseConfig('channels: { a: { channel: a, subject: a, access: public } }', 'x.yaml', {});

  it('wait longer for the end than a drain takes', () => {
    const [seconds = ''] = values('TimeoutStopSec');
    expect(Number.parseInt(seconds, 10) * 1000).toBeGreaterThan(config.drain.timeoutMs);
  });

  it('allow two open files for each stream', () => {
    expect(Number(values('LimitNOFILE')[0])).toBeGreaterThan(2 * config.limits.connections);
  });

  it('start what the build leaves, with a command that there is', () => {
    expect(values('ExecStart')).toEqual([
      '/usr/bin/node /opt/sidestream/dist/main.js serve --config /etc/sidestream/config.yaml',
    ]);
    expect(existsSync(join(ROOT, 'src/main.ts'))).toBe(true);
    expect(values('ExecReload')).toEqual(['/bin/kill -HUP $MAINPID']);
  });

  it('stop at a config with a fault, which the main process tells with its line', async () => {
    const file = join(temporaryFolder(), 'config.yaml');
    writeFileSync(file, 'channels:\n  a: { channel: a, subject: a }\n');
    const { status, stdout, stderr } = await runCli(['serve', '--config', file]);
    expect(values('RestartPreventExitStatus')).toEqual([`${status}`]);
    expect(stdout + stderr).toMatch(/config\.yaml:2:\d+|"line":2/);
    // systemd goes by the main process's status alone.
    expect(values('ExecStartPre').concat(values('ExecCondition'))).toEqual([]);
  });
});
