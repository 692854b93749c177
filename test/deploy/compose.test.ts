import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { findProgram } from '../support/child.ts';
import { runCli } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import { noNginx } from '../support/nginx.ts';
import { poll } from '../support/poll.ts';
import { request } from '../support/stream-client.ts';
import { FOLDER, fileAt, mountsOf, readCompose } from './compose.ts';
import { Composition, LISTENS } from './composition.ts';

const COMPOSE = `${FOLDER}compose.yaml`;
const compose = readCompose();
const services = Object.entries(compose.services);

const check = findProgram('COMPOSE_CHECK_BIN', 'compose-check');
const prometheus = process.env.SIDESTREAM_NO_PROMETHEUS
  ? undefined
  : findProgram('PROMETHEUS_BIN', 'prometheus');
const promtool = prometheus === undefined ? undefined : findProgram('PROMTOOL_BIN', 'promtool');
if (check === undefined)
  console.warn('The compose file was not checked by compose-go: it is not built here.');
if (prometheus === undefined) console.warn('The composition was tried without Prometheus: there is none.');

const run = (file: string, args: readonly string[]) => spawnSync(file, args, { encoding: 'utf8' });

describe('the compose file', () => {
  it.skipIf(check === undefined)('is one to the reader that Docker Compose has, which finds faults', () => {
    expect(run(check ?? '', [COMPOSE])).toMatchObject({ status: 0, stderr: '' });
    const broken = join(temporaryFolder(), 'compose.yaml');
    writeFileSync(broken, readFileSync(COMPOSE, 'utf8').replace('stop_grace_period', 'stop_grace_time'));
    expect(run(check ?? '', [broken]).stderr).toContain('stop_grace_time');
  });

  it('mounts files that are there, read-only, and volumes that it declares', () => {
    for (const [name, service] of services) {
      for (const { source, target } of mountsOf(service)) {
        const isVolume = !source.startsWith('/');
        expect(isVolume ? source in compose.volumes : existsSync(source), `${name}: ${source}`).toBe(true);
        const line = service.volumes?.find((volume) => volume.includes(`:${target}`));
        if (!isVolume) expect(line, name).toMatch(/:ro$/);
      }
    }
  });

  it('opens no port to other machines', () => {
    const ports = services.flatMap(([, service]) => service.ports ?? []);
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
    for (const [name, service] of services)
      for (const port of service.ports ?? [])
        expect(LISTENS[name], name).toContain(Number(port.split(':').at(-1)));
  });

  it('names in its files only services that there are, on ports that they have', () => {
    const texts = services.flatMap(([name, service]) => [
      JSON.stringify(service.environment ?? {}),
      ...mountsOf(service)
        .filter(({ source }) => source.startsWith(FOLDER) && /\.(yaml|conf)$/.test(source))
        .map(({ source }) => readFileSync(source, 'utf8')),
      name === 'grafana'
        ? readFileSync(fileAt(service, '/etc/grafana/provisioning/datasources/prometheus.yaml'), 'utf8')
        : '',
    ]);
    const named = texts.flatMap((text) => [...text.matchAll(/([a-z][a-z0-9-]*):(\d{4})\b/g)]);
    const addresses = new Set(
      named.map(([, host, port]) => `${host}:${port}`).filter((a) => !a.startsWith('localhost')),
    );
    expect([...addresses].sort()).toEqual([
      'backend:8080',
      'nats:4222',
      'nginx:8080',
      'prometheus:9090',
      'sidestream-1:8080',
      'sidestream-1:9090',
      'sidestream-2:8080',
      'sidestream-2:9090',
    ]);
    for (const address of addresses) {
      const [host = '', port] = address.split(':');
      expect(Object.keys(compose.services)).toContain(host);
      expect(LISTENS[host]).toContain(Number(port));
    }
  });

  it('has Sidestream believe the network that nginx is in, and wait longer than a drain takes', () => {
    for (const name of ['sidestream-1', 'sidestream-2']) {
      const { environment = {}, stop_grace_period: grace = '' } = compose.services[name] ?? {};
      expect(environment.TRUSTED_PROXY).toBe(compose.networks.default.ipam.config[0]?.subnet);
      expect(Number.parseInt(grace, 10)).toBeGreaterThan(
        Number.parseInt(environment.DRAIN_TIMEOUT ?? '', 10),
      );
    }
  });

  it('is given an image by the version that this is', () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    const images = services.map(([, { image }]) => image).filter((image) => image.startsWith('sidestream:'));
    expect(new Set(images)).toEqual(new Set([`sidestream:${version}`]));
  });

  it('has one service build that image, which the others wait for and do not look for elsewhere', () => {
    const ours = services.filter(([, { image }]) => image.startsWith('sidestream:'));
    const [builder, ...more] = ours.filter(([, { build }]) => build !== undefined);
    expect(more).toEqual([]);
    for (const [name, { build, pull_policy: pull, depends_on: before = {} }] of ours) {
      if (build !== undefined) continue;
      expect(pull, name).toBe('never');
      expect(Object.keys(before), name).toContain(builder?.[0]);
    }
  });

  it('lets whoever opens Grafana look and nobody change anything: there is no admin with a known password', () => {
    expect(compose.services.grafana?.environment).toMatchObject({
      GF_AUTH_ANONYMOUS_ORG_ROLE: 'Viewer',
      GF_AUTH_BASIC_ENABLED: 'false',
      GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION: 'true',
    });
  });

  it('shows the dashboard with a data source of the kind that it asks for', () => {
    const grafana = compose.services.grafana;
    if (grafana === undefined) throw new Error('there is no Grafana');
    const dashboards = parse(
      readFileSync(fileAt(grafana, '/etc/grafana/provisioning/dashboards/sidestream.yaml'), 'utf8'),
    );
    const { environment = {} } = grafana;
    const home = environment.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH ?? '';
    expect(home.startsWith(dashboards.providers[0].options.path)).toBe(true);
    const dashboard = JSON.parse(readFileSync(fileAt(grafana, home), 'utf8'));
    const wanted = dashboard.templating.list.find(({ type }: { type: string }) => type === 'datasource');
    const sources = parse(
      readFileSync(fileAt(grafana, '/etc/grafana/provisioning/datasources/prometheus.yaml'), 'utf8'),
    );
    expect(sources.datasources[0]).toMatchObject({ type: wanted.query, isDefault: true });
  });
});

describe('what the compose file mounts', () => {
  it('is taken by nats-server and by sidestream check', async () => {
    const composition = await Composition.make();
    const nats = run(process.env.NATS_SERVER_BIN ?? 'nats-server', [
      '-t',
      '--config',
      composition.natsConfig(),
    ]);
    expect([nats.status, nats.stderr]).toMatchObject([0, expect.stringContaining('is valid')]);
    const config = fileAt(composition.service('sidestream-1'), '/etc/sidestream/config.yaml');
    const checked = await runCli(['check', '--config', config], {
      env: composition.environment('sidestream-1'),
    });
    expect(checked).toMatchObject({ status: 0, stdout: expect.stringContaining('no problems') });
  });

  it.skipIf(noNginx !== undefined)('is taken by nginx', async () => {
    const composition = await Composition.make();
    expect(run(findProgram('NGINX_BIN', 'nginx') ?? '', ['-t', ...composition.nginxArgs()]).status).toBe(0);
  });

  it.skipIf(promtool === undefined)('is taken by Prometheus, alert rules and all', async () => {
    const composition = await Composition.make();
    expect(
      execFileSync(promtool ?? '', ['check', 'config', composition.prometheusConfig()], { encoding: 'utf8' }),
    ).toContain('SUCCESS');
  });
});

describe.skipIf(noNginx !== undefined)('what the compose file starts, as processes on this machine', () => {
  it('brings what the backend publishes through NATS, two bridges and nginx into a stream, and all of it into Prometheus', async () => {
    const composition = await Composition.make();
    await composition.startNats();
    await composition.startBackend();
    await Promise.all([composition.startBridge('sidestream-1'), composition.startBridge('sidestream-2')]);
    await composition.startNginx();
    const port = composition.port('nginx', 8080);
    const client = await request({ port, target: '/events?channels=prices.ACME,orders' });
    await client.next('sidestream.open');
    const wanted = new Set(['price', 'order']);
    await client.until(({ event }) => wanted.delete(event) && wanted.size === 0);

    const page = await fetch(`http://127.0.0.1:${port}/`);
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    if (prometheus === undefined) return;
    await composition.startPrometheus(prometheus);
    const api = `http://127.0.0.1:${composition.port('prometheus', 9090)}/api/v1`;
    await poll('both bridges to be scraped', async () => {
      const { data } = JSON.parse(await (await fetch(`${api}/query?query=sum(up{job="sidestream"})`)).text());
      return data.result[0]?.value[1] === '2';
    });
    const { data } = JSON.parse(await (await fetch(`${api}/rules`)).text());
    expect(data.groups.length).toBeGreaterThan(0);
  }, 60_000);
});
