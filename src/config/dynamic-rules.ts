import type { Finding, Judgement } from './findings.ts';
import type { Path } from './outline.ts';

/** Nobody is put without asking on a channel that may not exist. */
export function checkDynamic(
  path: Path,
  route: { readonly dynamic: boolean; readonly automatic?: string | undefined },
  { sound }: Judgement,
): Finding[] {
  const isBoth = sound(...path, 'dynamic') && sound(...path, 'automatic') && route.dynamic;
  if (!isBoth || route.automatic === undefined) return [];
  const message =
    'is given beside dynamic: an automatic channel is there for whoever comes, without being made; keep one of the two';
  return [{ path: [...path, 'automatic'], message }];
}
