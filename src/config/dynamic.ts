import { flag } from './kinds.ts';

/** What a route has under `dynamic`. */
export const dynamic = flag({
  description:
    'Whether a channel of this route exists only once it was made by the control operation [`create`](control.md#create); until then, and once it has expired, it is refused as one that nobody serves. Needs JetStream, where the channels that were made are kept.',
}).prefault(false);
