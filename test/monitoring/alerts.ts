import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string; readonly runbook: string };
}

/** What fires when, in a file for `promtool test rules`. */
export interface Scene {
  readonly name: string;
  readonly promql_expr_test: readonly { readonly exp_samples: readonly { readonly labels: string }[] }[];
}

export const ALERTS_FILE = fileURLToPath(new URL('../../helm/files/alerts.yaml', import.meta.url));
const FOLDER = fileURLToPath(new URL('.', import.meta.url));

export const SCENE_FILES = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.test.yaml'))
  .map((name) => `${FOLDER}${name}`);

export function readAlerts(): Alert[] {
  const { groups }: { groups: { rules: Alert[] }[] } = parse(readFileSync(ALERTS_FILE, 'utf8'));
  return groups.flatMap(({ rules }) => rules);
}

export function readScenes(): Scene[] {
  return SCENE_FILES.flatMap((file) => {
    const { tests }: { tests: Scene[] } = parse(readFileSync(file, 'utf8'));
    return tests;
  });
}

/** Headings of a page, as their anchors. */
export function anchorsOf(page: string): string[] {
  const text = readFileSync(new URL(`../../docs/${page}`, import.meta.url), 'utf8');
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  );
}
