// The compose specification's own reader, with which the compose file is checked: `docker compose config` without Docker.
import { ensureGoTool } from './go-tool.mjs';

const TOOL = {
  name: 'compose-check',
  version: 'v2.9.1', // of compose-go, as in compose-check/go.mod
  package: '.',
  variable: 'COMPOSE_CHECK_BIN',
};

/**
 * COMPOSE_CHECK_BIN, else one built with Go, once, in some seconds.
 * @returns {Promise<{ file: string } | { why: string }>}
 */
export const ensureComposeCheck = (env = process.env) => ensureGoTool(TOOL, env);
