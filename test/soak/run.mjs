// `npm run soak`: see --help.
import { longRun } from '../support/long-run.mjs';
import { HELP, parseOptions } from './options.mjs';

const config = new URL('vitest.config.ts', import.meta.url);
await longRun({ help: HELP, parseOptions, config, variable: 'SIDESTREAM_SOAK' });
