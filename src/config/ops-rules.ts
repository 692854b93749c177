import type { NamedFiles } from './files.ts';
import { type Finding, type Judgement, onlyOne } from './findings.ts';
import { OPS_TOKEN, OPS_TOKEN_EXPECTED, type OpsConfig } from './ops.ts';
import { pick } from './pick.ts';
import type { Settings } from './schema.ts';

/** One token, wherever it stands. */
export function checkOps({ ops }: Settings, { readable }: Judgement): Finding[] {
  return readable('ops') ? onlyOne(ops, ['token', 'tokenFile'], ['ops']) : [];
}

/** Holds what stands in the file to the form that a token in the config must have. */
export function checkTokenFile(files: NamedFiles): Finding[] {
  const content = files.get('ops.tokenFile')?.content;
  if (content === undefined || new RegExp(OPS_TOKEN).test(content)) return [];
  const message = `names a file in which another thing stands: expected ${OPS_TOKEN_EXPECTED}`;
  return [{ path: ['ops', 'tokenFile'], message }];
}

/** `ops` as the other rooms read it. */
export function resolveOps({ tokenFile: _, ...rest }: Settings['ops'], files: NamedFiles): OpsConfig {
  return pick({ ...rest, token: rest.token ?? files.get('ops.tokenFile')?.content });
}
