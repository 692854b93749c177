/** What a PromQL expression names. Good for the expressions that we write; it does not parse the language. */
export interface Named {
  /** Metrics, by their selectors. */
  readonly metrics: readonly string[];
  /** Labels, by matchers, `by`, `on` and `group_left`. */
  readonly labels: readonly string[];
}

const SELECTOR = /\b(up|ALERTS|sidestream_\w+)\b(?:\{([^}]*)\})?/g;
const GROUPING = /\b(?:by|on|group_left|without)\s*\(([^)]*)\)/g;

export function namedIn(expression: string): Named {
  const selectors = [...expression.matchAll(SELECTOR)];
  const matchers = selectors.flatMap(([, , inside = '']) => [...inside.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)]);
  const groupings = [...expression.matchAll(GROUPING)].flatMap(([, inside = '']) => inside.split(','));
  const labels = [...matchers.map(([, label = '']) => label), ...groupings.map((label) => label.trim())];
  return {
    metrics: [...new Set(selectors.map(([, metric = '']) => metric))],
    labels: [...new Set(labels.filter((label) => label !== ''))],
  };
}
