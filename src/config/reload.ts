import { section } from './keys.ts';
import { duration } from './kinds.ts';

/** How a changed config is noticed. */
export interface ReloadConfig {
  /** 0: only when told by a signal. */
  readonly watchMs: number;
}

/** What the config has under `reload:`. */
export const reload = section(
  'How a changed config is taken on while the process runs; [what of it, and when](reload.md). On SIGHUP it always is.',
  {
    watch: duration({
      min: '100ms',
      max: '1h',
      zero: 'off',
      description:
        'How often this file, and every file that it names, is looked at for whether it has changed. Set it to `0s` where only SIGHUP is to do it.',
    }).prefault('5s'),
  },
).prefault({});
