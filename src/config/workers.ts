import { value } from './keys.ts';
import { Misread } from './misread.ts';

/** Far above the CPUs of what runs this. */
const MAX_WORKERS = 256;

/** What the config has at `workers`. */
export const workers = value(
  {
    form: 'count',
    type: `whole number, 1 to ${MAX_WORKERS}, or \`auto\``,
    json: { anyOf: [{ type: 'integer', minimum: 1, maximum: MAX_WORKERS }, { const: 'auto' }] },
    expected: `a whole number from 1 to ${MAX_WORKERS}, or auto`,
    read(input): number | 'auto' | Misread {
      if (input === 'auto') return input;
      if (typeof input !== 'number' || !Number.isInteger(input)) return new Misread();
      return input < 1 || input > MAX_WORKERS ? new Misread() : input;
    },
  },
  {
    description:
      'Processes that share the port, each with its own connection to NATS; `auto` is one for each CPU that the machine or the container may use. Raise it where one CPU is not enough; what that means for limits, metrics and clients of core routes is in `docs/workers.md`.',
  },
).prefault(1);
