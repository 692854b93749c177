import type { Destination, Router } from '../routing/router.ts';
import { ControlError, type Served, single } from './operation.ts';
import { inbox, read, unread } from './operations/inbox.ts';
import { userParameter } from './publish/publish-target.ts';

interface Count {
  readonly channel: string;
  readonly unread: number;
  readonly more?: true;
  readonly through: string;
}

interface Message {
  readonly id: string;
  readonly event: string;
  readonly data: string;
  readonly priority: 'normal' | 'high' | 'urgent';
  readonly time: string;
  readonly expires?: string;
}

type Order = 'time' | 'priority';
type Mark = { readonly through: string } | { readonly ids: readonly string[] } | { readonly all: true };

/** Inboxes, as the bridge hands them over. What they refuse has a `code` that begins with INBOX_. */
export interface Inboxes {
  serves(destination: Destination): boolean;
  unread(destination: Destination): Promise<Count>;
  pending(
    destination: Destination,
    query: { readonly limit: number; readonly after?: string | undefined; readonly order: Order },
  ): Promise<Count & { readonly list: readonly Message[]; readonly next?: string }>;
  read(destination: Destination, mark: Mark): Promise<Count>;
}

export interface InboxDeps {
  readonly router: Router;
  /** Absent where no route has an inbox. */
  readonly inbox: Inboxes | undefined;
}

interface Whose {
  readonly channel?: string | undefined;
  readonly user?: string | undefined;
  readonly route?: string | undefined;
}

/** What users may do over the public port, for whoever may call the control plane. */
export function inboxOperations(deps: InboxDeps): Served[] {
  return [
    single(unread, (input) => ask(deps, input, (inboxes, destination) => inboxes.unread(destination))),
    single(inbox, (input) =>
      ask(deps, input, async (inboxes, destination) => {
        const { limit, after, order } = input;
        if (after !== undefined && order === 'priority')
          throw invalid('after goes with the order of time only');
        const { list, ...rest } = await inboxes.pending(destination, { limit, after, order });
        return { ...rest, list: [...list] };
      }),
    ),
    single(read, (input) =>
      ask(deps, input, (inboxes, destination) => inboxes.read(destination, toMark(input))),
    ),
  ];
}

async function ask<T>(
  { router, inbox: inboxes }: InboxDeps,
  whose: Whose,
  question: (inboxes: Inboxes, destination: Destination) => Promise<T>,
): Promise<T> {
  const destination = destinationOf(whose, router, inboxes);
  if (inboxes === undefined || destination === undefined || !inboxes.serves(destination))
    throw new ControlError(
      'CHANNEL_NOT_FOUND',
      'no route with an inbox serves this channel, or has one of this user',
    );
  try {
    return await question(inboxes, destination);
  } catch (error) {
    throw asControlError(error);
  }
}

function destinationOf(
  { channel, user, route: name }: Whose,
  router: Router,
  inboxes: Inboxes | undefined,
): Destination | undefined {
  if ((channel === undefined) === (user === undefined)) throw invalid('give one of channel and user');
  if (channel !== undefined) {
    if (name !== undefined) throw invalid('route goes with user only');
    return router.resolve(channel);
  }
  const found = router.routes.flatMap((route) => {
    const parameter = userParameter(route);
    if (parameter === undefined || (name !== undefined && route.name !== name)) return [];
    const destination = router.resolve(route.template.fill({ [parameter]: user ?? '' }));
    return destination?.route === route && inboxes?.serves(destination) ? [destination] : [];
  });
  if (found.length > 1) {
    const names = found.map(({ route }) => route.name).join(', ');
    throw invalid(`route must say which; there are ${names}`);
  }
  return found[0];
}

function toMark({
  through,
  ids,
  all,
}: {
  through?: string | undefined;
  ids?: string[] | undefined;
  all?: true | undefined;
}): Mark {
  const given = [through, ids, all].filter((each) => each !== undefined);
  if (given.length !== 1) throw invalid('give one of through, ids and all');
  if (through !== undefined) return { through };
  return ids === undefined ? { all: true } : { ids };
}

function asControlError(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error;
  switch (error.code) {
    case 'INBOX_INVALID':
      return invalid(error.message);
    case 'INBOX_POSITION':
    case 'INBOX_FULL':
      return new ControlError('CONFLICT', error.message);
    case 'INBOX_UNAVAILABLE':
      return new ControlError('CONTROL_UNAVAILABLE', error.message);
    default:
      return error;
  }
}

function invalid(message: string): ControlError {
  return new ControlError('CONTROL_INVALID', message);
}
