import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import { startNats } from '../support/nats-server.ts';
import { poll } from '../support/poll.ts';
import { freePort } from '../support/ports.ts';
import { request } from '../support/stream-client.ts';
import { type Container, noImage, readImage, serveInContainer, startContainer } from './image.ts';

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
const DRAIN = { timeout: '2s', reconnectRate: '100000/s' };

/** Runs a program of the image's to its end. */
async function run(command: readonly string[]) {
  const { cli } = await startContainer([], { command });
  return { status: await cli.exited(), stdout: cli.stdout, stderr: cli.stderr };
}

/** `Name: value` lines of /proc, of the first process. */
const STATUS = `return Object.fromEntries(fs.readFileSync('/proc/1/status', 'utf8').split('\\n').map((line) => line.split(/:\\s*/)))`;
/** Every process but the one that asks: its state and how it was started. */
const PROCESSES = `return fs.readdirSync('/proc').filter((name) => /^\\d+$/.test(name) && Number(name) !== process.pid)
  .map((pid) => ({ pid: Number(pid), state: fs.readFileSync('/proc/' + pid + '/stat', 'utf8').split(') ')[1][0],
    command: fs.readFileSync('/proc/' + pid + '/cmdline', 'utf8').split('\\0').slice(0, -1) }))`;

interface Process {
  readonly pid: number;
  readonly state: string;
  readonly command: readonly string[];
}

const processes = (container: Container) => container.evaluate(PROCESSES) as readonly Process[];

describe.skipIf(noImage !== undefined)('the image’s program', () => {
  it('is the version of package.json, on the Node that the Dockerfile names, with the newest uWebSockets.js', async () => {
    expect(await run([...readImage().config.Entrypoint, '--version'])).toEqual({
      status: 0,
      stdout: `${JSON.parse(read('package.json')).version}\n`,
      stderr: '',
    });
    const [, major] = /^ARG NODE_VERSION=(\d+)$/m.exec(read('Dockerfile')) ?? [];
    const script = `import { loadUws } from '/app/dist/http/uws.js'; console.log(process.version, loadUws(8192).version)`;
    const { stdout } = await run(['/usr/local/bin/node', '--input-type=module', '-e', script]);
    const { version } = JSON.parse(read('package-lock.json')).packages['node_modules/uWebSockets.js'];
    expect(stdout).toMatch(new RegExp(`^v${major}\\.`));
    expect(stdout.trim().split(' ')[1]).toBe(version);
  });

  it('says what is missing where it is given no config', async () => {
    const { cli } = await startContainer([]);
    expect(await cli.exited()).toBe(2);
    expect(cli.stderr).toMatch(/config\.yaml.*cannot be read \(ENOENT\)/);
  });

  it('is the first process, is not root, has no capability, and cannot write anywhere', async () => {
    const container = await serveInContainer({});
    const status = container.evaluate(STATUS) as Record<string, string>;
    expect(status).toMatchObject({
      Uid: '65532\t65532\t65532\t65532',
      Gid: '65532\t65532\t65532\t65532',
      NoNewPrivs: '1',
      // Filtered: of all system calls those that containers may make by default.
      Seccomp: '2',
    });
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) expect(status[set]).toMatch(/^0+$/);
    const all = processes(container);
    const { Entrypoint, Cmd } = readImage().config;
    expect(all.map(({ pid, command }) => ({ pid, command }))).toEqual([
      { pid: 1, command: [...Entrypoint, ...Cmd] },
    ]);
    const tries = `const denied = {};
      for (const folder of ['/', '/tmp', '/var/tmp', '/dev', '/app', '/run', '/etc/sidestream'])
        try { fs.writeFileSync(folder + '/x', ''); denied[folder] = 'written'; } catch (error) { denied[folder] = error.code; }
      return denied;`;
    const denied = container.evaluate(tries) as Record<string, string>;
    for (const [folder, code] of Object.entries(denied))
      expect([folder, code]).toEqual([folder, expect.stringMatching(/^(EROFS|EACCES)$/)]);
    expect(container.exec(['/bin/sh', '-c', 'exit 3']).status).toBe(3);
  });

  it('is healthy by the image’s own check, and ready until it drains', async () => {
    const { Test } = readImage().config.Healthcheck;
    const container = await serveInContainer({ ops: { listen: `127.0.0.1:${await freePort()}` } });
    const { status, output } = container.exec(Test.slice(1));
    expect([status, output]).toEqual([0, expect.stringMatching(/^healthy: .* answered 200: ok\n$/)]);
    expect(container.exec([...Test.slice(1), '--ready']).status).toBe(0);
  });

  it('drains at the image’s stop signal, says goodbye to its streams, and ends with 0', async () => {
    const nats = await startNats();
    const container = await serveInContainer({ drain: DRAIN, nats: { servers: [nats.url] } });
    const { http } = await container.cli.logged('listening');
    await container.cli.logged('connected to NATS');
    const stream = await request({ port: portOf(http), target: '/events/topic.a' });
    await stream.next('sidestream.open');
    const { StopSignal } = readImage().config;
    expect(StopSignal).toBe('SIGTERM');
    container.cli.signal(StopSignal);
    expect(JSON.parse((await stream.next('sidestream.close')).data)).toMatchObject({ reason: 'draining' });
    await stream.ended();
    expect(await container.cli.exited()).toBe(0);
  });

  it('replaces a worker that dies and leaves no zombie, though nobody but it is there to reap it', async () => {
    const container = await serveInContainer({ workers: 2, drain: DRAIN });
    const workers = () => processes(container).filter(({ pid }) => pid !== 1);
    const [first] = await poll('the workers', () => (workers().length === 2 ? workers() : undefined));
    container.evaluate(`process.kill(${first?.pid}, 'SIGKILL'); return null`);
    const replaced = await poll('its successor', () => {
      const now = workers();
      return now.length === 2 && now.every(({ pid }) => pid !== first?.pid) ? now : undefined;
    });
    expect(replaced.map(({ state }) => state)).not.toContain('Z');
    container.cli.signal('SIGTERM');
    expect(await container.cli.exited()).toBe(0);
  });

  it.each([
    [1.5, 1],
    [2, 2],
  ])(
    'given %s CPUs has %s workers by `workers: auto`, where the machine has as many',
    async (cpus, workers) => {
      const container = await serveInContainer({ workers: 'auto' }, { cpus });
      const count = Math.min(workers, availableParallelism());
      // One is the first process itself.
      await poll('the workers', () => processes(container).length === (count === 1 ? 1 : count + 1));
    },
  );
});

function portOf(address: unknown): number {
  return typeof address === 'object' && address !== null && 'port' in address ? Number(address.port) : 0;
}
