import type { Observed } from './observed.ts';
import type { Exposition } from './register.ts';

/** Who is known to be there, and how instances tell each other. */
export function exposePresence(to: Exposition, { presence, backendEvents }: Observed): void {
  to.gauge(
    'sidestream_presence_channels',
    'Channels with somebody on them.',
    () => presence()?.channels ?? 0,
  );
  to.gauge('sidestream_presence_members', 'Members known by name.', () => presence()?.members ?? 0);
  to.gauge('sidestream_presence_hidden', 'Members that are counted only.', () => presence()?.hidden ?? 0);
  to.gauge(
    'sidestream_presence_incomplete',
    'Instances whose members are not all known here at this moment.',
    () => presence()?.incomplete ?? 0,
  );
  to.counts(
    'sidestream_presence_messages_total',
    'What instances told each other of members.',
    ['kind'],
    () => Object.entries(presence()?.messages ?? {}).map(([kind, n]) => [{ kind }, n]),
  );
  to.counts('sidestream_backend_events_total', 'Events for backends, sent or dropped.', ['result'], () =>
    Object.entries(backendEvents()).map(([result, n]) => [{ result }, n]),
  );
}
