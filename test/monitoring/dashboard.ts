import { readFileSync } from 'node:fs';

/** Where a panel stands, in 24ths of the width and lines of 30 pixels. */
export interface Place {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

export interface Query {
  readonly refId: string;
  readonly expr: string;
  readonly legendFormat: string;
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: Place;
  readonly links?: readonly { readonly url: string }[];
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: readonly Query[];
  /** Of a row that is folded. */
  readonly panels?: readonly Panel[];
}

export interface Dashboard {
  readonly uid: string;
  readonly panels: readonly Panel[];
  readonly annotations: { readonly list: readonly { readonly name: string; readonly expr?: string }[] };
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly allValue?: string | null }[];
  };
}

export function readDashboard(): Dashboard {
  return JSON.parse(readFileSync(new URL('../../helm/files/dashboard.json', import.meta.url), 'utf8'));
}

/** Every panel that shows something, those in folded rows included. */
export function shownPanels({ panels }: Pick<Dashboard, 'panels'>): Panel[] {
  return panels.flatMap((panel) => (panel.type === 'row' ? (panel.panels ?? []) : [panel]));
}

/** A query as Grafana sends it: with all namespaces, the jobs that have Sidestream, their instances, and rates over a minute. */
export function filledIn(expression: string): string {
  return expression
    .replaceAll('$job', 'sidestream')
    .replaceAll(/\$(namespace|instance)\b/g, '.*')
    .replaceAll('$__rate_interval', '1m');
}
