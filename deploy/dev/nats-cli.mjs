// The `nats` command line tool, with which the documentation's examples are run.
import { ensureGoTool } from './go-tool.mjs';

const TOOL = {
  name: 'nats',
  module: 'nats-cli',
  // As in nats-cli/go.mod.
  version: 'v0.1.6',
  package: 'github.com/nats-io/natscli/nats',
  variable: 'NATS_CLI_BIN',
};

/**
 * The tool: NATS_CLI_BIN, the one on the PATH, else one built with Go, once.
 * @returns {Promise<{ file: string } | { why: string }>}
 * @throws {import('./command.mjs').SetupError} when NATS_CLI_BIN names no program
 */
export const ensureNatsCli = (env = process.env) => ensureGoTool(TOOL, env);
