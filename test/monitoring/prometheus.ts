import { dirname, join } from 'node:path';
import { findProgram, startChild } from '../support/child.ts';
import { temporaryFile, temporaryFolder } from '../support/folder.ts';
import { poll } from '../support/poll.ts';
import { accepts, freePort } from '../support/ports.ts';

const server = findProgram('PROMETHEUS_BIN', 'prometheus');

/** Why no test with Prometheus can run here, or `undefined` where they can. */
export const noPrometheus: string | undefined =
  process.env.SIDESTREAM_NO_PROMETHEUS ?? (server === undefined ? 'there is no Prometheus' : undefined);

if (noPrometheus !== undefined)
  console.warn(`Alert rules and the dashboard's queries were not tested: ${noPrometheus}.`);

/** promtool, which comes with Prometheus. */
export const PROMTOOL = process.env.PROMTOOL_BIN ?? join(dirname(server ?? ''), 'promtool');

/** One series of an answer, as it is now. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Rule {
  readonly name: string;
  readonly health: string;
  readonly lastError?: string;
  /** Those that are pending or fire, with their texts filled in. */
  readonly alerts: readonly { readonly annotations: Readonly<Record<string, string>> }[];
}

/** A real Prometheus that scrapes and judges twice a second. */
export class Prometheus {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** What a query gives now. @throws Error where Prometheus refuses it */
  async query(expression: string): Promise<Series[]> {
    const query = new URLSearchParams({ query: expression });
    const { result } = await this.#ask<{
      result: { metric: Record<string, string>; value: [number, string] }[];
    }>(`query?${query}`);
    return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }

  /** Waits until a query gives something. */
  async holds(expression: string): Promise<Series[]> {
    return poll(`Prometheus to see ${expression}`, async () => {
      const found = await this.query(expression);
      return found.length > 0 ? found : undefined;
    });
  }

  /** The alert rules that it has loaded. */
  async rules(): Promise<Rule[]> {
    const { groups } = await this.#ask<{ groups: { rules: Rule[] }[] }>('rules');
    return groups.flatMap(({ rules }) => rules);
  }

  async #ask<T>(path: string): Promise<T> {
    const answer = await fetch(`${this.#url}/api/v1/${path}`);
    const body: { status: string; error?: string; data: T } = JSON.parse(await answer.text());
    if (body.status !== 'success') throw new Error(`${decodeURIComponent(path)}: ${body.error}`);
    return body.data;
  }
}

/** Starts one that scrapes these ops ports, by the job `sidestream`, and judges by a file of rules. It is gone when the test is over. */
export async function startPrometheus(opsUrls: readonly string[], rules: string): Promise<Prometheus> {
  const port = await freePort();
  const config = {
    global: { scrape_interval: '500ms', scrape_timeout: '500ms', evaluation_interval: '500ms' },
    rule_files: [rules],
    scrape_configs: [
      {
        job_name: 'sidestream',
        static_configs: [{ targets: opsUrls.map((url) => new URL(url).host), labels: { namespace: 'test' } }],
      },
      // Nothing listens on the discard port: somebody else's trouble.
      { job_name: 'another', static_configs: [{ targets: ['127.0.0.1:9'] }] },
    ],
  };
  const args = [
    `--config.file=${temporaryFile(JSON.stringify(config), 'prometheus.yaml')}`,
    `--storage.tsdb.path=${temporaryFolder()}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  const child = startChild(server ?? 'prometheus', { args });
  await child.ready('Prometheus to listen', () => accepts(port));
  const prometheus = new Prometheus(`http://127.0.0.1:${port}`);
  await child.ready('Prometheus to be ready', () =>
    prometheus.query('vector(1)').then(
      () => true,
      () => false, // 503 while it starts
    ),
  );
  return prometheus;
}
