import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureBuild } from '../support/build.ts';
import { type Child, findProgram, startChild } from '../support/child.ts';
import { temporaryFolder } from '../support/folder.ts';
import { NGINX_ARGS, NGINX_PLACES } from '../support/nginx.ts';
import { accepts, freePort } from '../support/ports.ts';
import { type ComposeFile, fileAt, option, readCompose, type Service } from './compose.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** What each service listens on in its container. */
export const LISTENS: Readonly<Record<string, readonly number[]>> = {
  nats: [4222, 8222],
  'sidestream-1': [8080, 9090],
  'sidestream-2': [8080, 9090],
  nginx: [8080],
  backend: [8080],
  prometheus: [9090],
  grafana: [3000],
};

/** The services of the compose file as processes on this machine: their names and ports stand for ports that were free. */
export class Composition {
  readonly compose: ComposeFile = readCompose();
  readonly #folder = temporaryFolder();
  readonly #ports = new Map<string, number>();

  static async make(): Promise<Composition> {
    const composition = new Composition();
    for (const [service, ports] of Object.entries(LISTENS))
      for (const port of ports) composition.#ports.set(`${service}:${port}`, await freePort());
    await ensureBuild();
    return composition;
  }

  service(name: string): Service {
    const service = this.compose.services[name];
    if (service === undefined) throw new Error(`there is no service ${name}`);
    return service;
  }

  port(service: string, port: number): number {
    const here = this.#ports.get(`${service}:${port}`);
    if (here === undefined) throw new Error(`${service} does not listen on ${port}`);
    return here;
  }

  /** With every `service:port` put where it is on this machine. */
  placed(text: string): string {
    return [...this.#ports].reduce(
      (result, [name, port]) => result.replaceAll(new RegExp(`\\b${name}\\b`, 'g'), `127.0.0.1:${port}`),
      text,
    );
  }

  /** A copy of a mounted file with that done, and what else is to be other than in the container. */
  config(name: string, path: string, changes: Readonly<Record<string, string>> = {}): string {
    const file = join(this.#folder, `${name}-${path.split('/').at(-1)}`);
    let text = this.placed(readFileSync(fileAt(this.service(name), path), 'utf8'));
    for (const [written, here] of Object.entries(changes)) {
      if (!text.includes(written)) throw new Error(`${path} does not say ${written}`);
      text = text.replaceAll(written, here);
    }
    writeFileSync(file, text);
    return file;
  }

  natsConfig(): string {
    return this.config('nats', option(this.service('nats'), '--config'), {
      'port: 4222': `listen: 127.0.0.1:${this.port('nats', 4222)}`,
      'http: 8222': `http: 127.0.0.1:${this.port('nats', 8222)}`,
      'store_dir: /data': `store_dir: ${this.#folder}/data`,
    });
  }

  nginxConfig(): string {
    return this.config('nginx', '/etc/nginx/nginx.conf', {
      'listen 8080;': `listen 127.0.0.1:${this.port('nginx', 8080)};`,
      '\nhttp {': `\nhttp {\n${NGINX_PLACES}`,
    });
  }

  nginxArgs(): readonly string[] {
    return ['-p', this.#folder, '-c', this.nginxConfig(), ...NGINX_ARGS];
  }

  prometheusConfig(): string {
    const prometheus = this.service('prometheus');
    return this.config('prometheus', option(prometheus, '--config.file'), {
      '/etc/prometheus/alerts.yaml': fileAt(prometheus, '/etc/prometheus/alerts.yaml'),
      ': 10s': ': 1s',
    });
  }

  /** The environment of a service. */
  environment(name: string): Record<string, string> {
    const { environment = {} } = this.service(name);
    const own = (text: string) => text.replace(/^0\.0\.0\.0:(\d+)$/, `${name}:$1`);
    return Object.fromEntries(
      Object.entries(environment).map(([key, value]) => [key, this.placed(own(String(value)))]),
    );
  }

  async startNats(): Promise<void> {
    const file = process.env.NATS_SERVER_BIN ?? 'nats-server';
    const nats = startChild(file, { args: ['--config', this.natsConfig()] });
    await nats.ready('nats-server to listen', () => accepts(this.port('nats', 4222)));
  }

  async startBridge(name: string): Promise<void> {
    const config = fileAt(this.service(name), '/etc/sidestream/config.yaml');
    const args = [join(ROOT, 'dist/main.js'), 'serve', '--config', config];
    const env = { ...this.environment(name), TRUSTED_PROXY: '127.0.0.1' };
    const bridge = startChild(process.execPath, { args, env });
    await bridge.ready(`${name} to be ready`, () =>
      this.#isOk(`http://127.0.0.1:${this.port(name, 9090)}/readyz`),
    );
  }

  async startBackend(): Promise<void> {
    const { entrypoint = [] } = this.service('backend');
    const file = fileAt(this.service('backend'), entrypoint[1] ?? '');
    const port = this.port('backend', 8080);
    const env = { ...this.environment('backend'), HOST: '127.0.0.1', PORT: `${port}` };
    const backend = startChild(process.execPath, { args: [file], env });
    await backend.ready('the backend to listen', () => accepts(port));
  }

  async startNginx(): Promise<void> {
    const nginx = startChild(findProgram('NGINX_BIN', 'nginx') ?? 'nginx', { args: this.nginxArgs() });
    await nginx.ready('nginx to listen', () => accepts(this.port('nginx', 8080)));
  }

  async startPrometheus(file: string): Promise<Child> {
    const port = this.port('prometheus', 9090);
    const args = [
      `--config.file=${this.prometheusConfig()}`,
      `--storage.tsdb.path=${this.#folder}/metrics`,
      `--web.listen-address=127.0.0.1:${port}`,
    ];
    const prometheus = startChild(file, { args });
    await prometheus.ready('Prometheus to be ready', () => this.#isOk(`http://127.0.0.1:${port}/-/ready`));
    return prometheus;
  }

  async #isOk(url: string): Promise<boolean> {
    return fetch(url).then(
      ({ ok }) => ok,
      () => false,
    );
  }
}
