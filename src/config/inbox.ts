import { flag } from './kinds.ts';

/** What a route has under `inbox`. */
export const inbox = flag({
  description:
    'Whether what is published waits until its user has read it, with a count of what is unread; [inbox.md](inbox.md). For a route with `stream` whose every `access` rule is a `where`: a channel is one user’s.',
}).prefault(false);
