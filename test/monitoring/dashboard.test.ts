import { describe, expect, it } from 'vitest';
import { anchorsOf, readAlerts } from './alerts.ts';
import { type Panel, readDashboard, shownPanels } from './dashboard.ts';
import { documentedMetrics } from './documented.ts';
import { namedIn } from './expression.ts';

const dashboard = readDashboard();
const panels = shownPanels(dashboard);
const expressions = [
  ...panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
  ...dashboard.annotations.list.flatMap(({ expr }) => (expr === undefined ? [] : [expr])),
];
const known = await documentedMetrics();

/** Prometheus' own. */
const OF_PROMETHEUS = ['up', 'ALERTS'];
const overlaps = (a: Panel, b: Panel) =>
  a.gridPos.x < b.gridPos.x + b.gridPos.w &&
  b.gridPos.x < a.gridPos.x + a.gridPos.w &&
  a.gridPos.y < b.gridPos.y + b.gridPos.h &&
  b.gridPos.y < a.gridPos.y + a.gridPos.h;

describe('the dashboard', () => {
  it('has panels with an id and a title each of its own, and a unit', () => {
    const all = [...dashboard.panels, ...dashboard.panels.flatMap((panel) => panel.panels ?? [])];
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
    expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length);
    expect(panels.filter(({ fieldConfig }) => !fieldConfig?.defaults.unit).map(({ title }) => title)).toEqual(
      [],
    );
  });

  it('says of each panel what it shows and what is normal', () => {
    const silent = panels.filter(({ description = '' }) => !/Normal: ./.test(description));
    expect(silent.map(({ title }) => title)).toEqual([]);
  });

  it('lays its panels side by side, within its width', () => {
    const groups = [dashboard.panels, ...dashboard.panels.map(({ panels: inside = [] }) => inside)];
    for (const group of groups)
      for (const [index, panel] of group.entries()) {
        expect(panel.gridPos.x + panel.gridPos.w, panel.title).toBeLessThanOrEqual(24);
        for (const other of group.slice(index + 1))
          expect(overlaps(panel, other), `${panel.title} and ${other.title}`).toBe(false);
      }
  });

  it('answers on one screen whether it is well: the rest is in folded rows', () => {
    const open = dashboard.panels.filter(({ type }) => type !== 'row');
    // A screen of 1080 lines shows 24 or so of a browser’s window.
    expect(Math.max(...open.map(({ gridPos }) => gridPos.y + gridPos.h))).toBeLessThanOrEqual(24);
    expect(open.length).toBeGreaterThan(10);
  });

  it('asks for metrics and labels that are documented', () => {
    for (const expression of expressions) {
      const { metrics, labels } = namedIn(expression);
      const ofOurs = metrics.filter((metric) => !OF_PROMETHEUS.includes(metric));
      for (const metric of ofOurs) expect([...known.keys()], expression).toContain(metric);
      const allowed = new Set(ofOurs.flatMap((metric) => [...(known.get(metric) ?? [])]));
      if (ofOurs.length === 0) continue;
      for (const label of labels) expect([...allowed], `${label} in ${expression}`).toContain(label);
    }
  });

  it('asks for what the variables pick', () => {
    for (const expression of expressions.filter((one) => !one.includes('ALERTS')))
      for (const [selector] of expression.matchAll(/\b(?:up|sidestream_\w+)\b(?:\{[^}]*\})?/g))
        expect(selector, expression).toContain('namespace=~"$namespace",job=~"$job",instance=~"$instance"');
    expect(dashboard.templating.list.map(({ name }) => name)).toEqual([
      'datasource',
      'namespace',
      'job',
      'instance',
      'runbooks',
    ]);
  });

  it('draws a zero only where there is nothing else: beside what has labels it would be a line without a name', () => {
    const beside = expressions.filter((expression) => /^sum by .* or vector/.test(expression));
    expect(beside).toEqual([]);
  });

  it('means by all jobs those that have Sidestream, or `up` would be of everything', () => {
    const job = dashboard.templating.list.find(({ name }) => name === 'job');
    expect(job?.allValue).toBeNull();
  });

  it('shows every metric that is documented, the alerts’ included', () => {
    const alerting = readAlerts().map(({ expr }) => expr);
    const shown = new Set([...expressions, ...alerting].flatMap((expression) => namedIn(expression).metrics));
    for (const expression of alerting)
      for (const metric of namedIn(expression).metrics)
        if (!OF_PROMETHEUS.includes(metric)) expect([...known.keys()], expression).toContain(metric);
    const missing = [...known.keys()].filter(
      (metric) => !shown.has(metric) && !/_(process|nodejs)_/.test(metric),
    );
    expect(missing).toEqual([]);
  });

  it('links to sections that there are', () => {
    const anchors = anchorsOf('operations.md');
    for (const { links = [], title } of panels)
      for (const { url } of links) expect(anchors, title).toContain(url.split('#')[1]);
  });
});
