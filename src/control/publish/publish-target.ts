import type { RouteConfig } from '../../config/schema.ts';
import type { Destination, Route, Router } from '../../routing/router.ts';
import { subjectProblem } from '../../routing/subject.ts';
import type { ChannelState } from '../channels/channel-book.ts';
import { ControlError } from '../operation.ts';
import type { PublishInput } from '../operations/publishing.ts';

export interface Addressing {
  readonly router: Router;
  /** Begins the subjects of the control plane, which nothing is published on from here. */
  readonly prefix: string;
  /** Whether a channel is there to be published to. */
  channelState(destination: Destination): ChannelState;
}

/** Where a message for a channel goes. */
export interface Target {
  readonly destination: Destination;
  /** Without wildcards. */
  readonly subject: string;
}

/** Stands for tokens of a route's subject that its channel does not name. */
export const FILLER = 'api';

/**
 * Where a message goes that is for a channel, a subject, or a user with a channel; `undefined` for one that is for single streams.
 * @throws ControlError CHANNEL_NOT_FOUND, CHANNEL_CLOSED, NOT_PERMITTED, CONTROL_INVALID
 */
export function targetOf(input: PublishInput, addressing: Addressing): Target | undefined {
  if (input.channel !== undefined) return toChannel(input.channel, addressing);
  if (input.subject !== undefined) return toSubject(input.subject, addressing);
  return input.user === undefined ? undefined : toUser(input.user, input.route, addressing);
}

function toChannel(channel: string, addressing: Addressing): Target {
  const destination = addressing.router.resolve(channel);
  if (destination === undefined) throw notFound('no route serves this channel');
  return checked({ destination, subject: filled(destination.subject) }, addressing);
}

function filled(subject: string): string {
  return subject
    .split('.')
    .map((token) => (token === '*' || token === '>' ? FILLER : token))
    .join('.');
}

/** One subject may feed several channels, of routes that differ in what they make of it. The first that is open is told. */
function toSubject(subject: string, addressing: Addressing): Target {
  const problem = subjectProblem(subject);
  if (problem !== undefined) throw new ControlError('CONTROL_INVALID', `subject ${problem}`);
  if (subject.split('.').some((token) => token === '*' || token === '>'))
    throw new ControlError('CONTROL_INVALID', 'subject must not have a wildcard');
  const found = destinationsOf(subject, addressing.router);
  const [first] = found;
  if (first === undefined)
    throw new ControlError(
      'NOT_PERMITTED',
      'no route takes this subject; there are only those of the config',
    );
  const open = found.find((destination) => addressing.channelState(destination) === 'open');
  return checked({ destination: open ?? first, subject }, addressing);
}

function destinationsOf(subject: string, router: Router): Destination[] {
  return router.routes.flatMap((route) => {
    const channel = route.template.toChannel(subject);
    const destination = channel === undefined ? undefined : router.resolve(channel);
    return destination?.route === route ? [destination] : [];
  });
}

/** The channel of a user, or `undefined` where no route has one. */
function toUser(user: string, name: string | undefined, addressing: Addressing): Target | undefined {
  const { routes } = addressing.router;
  if (name !== undefined && !routes.some((route) => route.name === name))
    throw new ControlError('CONTROL_INVALID', 'route must be the name of a route of the config');
  const ofUsers = routes.filter((route) => userParameter(route) !== undefined);
  const picked = name === undefined ? ofUsers : ofUsers.filter((route) => route.name === name);
  const [route, another] = picked;
  if (another !== undefined) {
    const names = picked.map((each) => each.name).join(', ');
    throw new ControlError('CONTROL_INVALID', `route must say which; there are ${names}`);
  }
  if (route === undefined) {
    if (name === undefined) return undefined;
    throw notFound('the route has no channel that is one user’s');
  }
  const channel = route.template.fill({ [userParameter(route) ?? '']: user });
  const destination = addressing.router.resolve(channel);
  if (destination?.route !== route) throw notFound('the user’s name cannot stand in a channel');
  return checked({ destination, subject: filled(destination.subject) }, addressing);
}

/** The one parameter of a route whose channel is one user's, by its `access`. */
export function userParameter({ template, config }: Route): string | undefined {
  const [parameter, another] = template.params;
  if (parameter === undefined || another !== undefined) return undefined;
  return config.access.some((rule) => isOfUser(rule, parameter)) ? parameter : undefined;
}

function isOfUser(rule: RouteConfig['access'][number], parameter: string): boolean {
  if (rule.kind !== 'where') return false;
  const entries = Object.entries(rule.where);
  return entries.length === 1 && entries.every(([name, claim]) => name === parameter && claim === 'sub');
}

function checked(target: Target, { prefix, channelState }: Addressing): Target {
  const { destination, subject } = target;
  if (isReserved(subject, prefix, destination.route))
    throw new ControlError(
      'NOT_PERMITTED',
      'subjects of the control plane and of NATS itself are not for messages',
    );
  const state = channelState(destination);
  if (state === 'open') return target;
  if (state === 'closed') throw new ControlError('CHANNEL_CLOSED', 'the channel was closed');
  if (state === 'loading')
    throw new ControlError('CONTROL_UNAVAILABLE', 'which channels were made is not known yet');
  throw notFound('the channel was not made, or has expired');
}

// A route may take `>`, or a first token that its channel names.
function isReserved(subject: string, prefix: string, { config: { source } }: Route): boolean {
  if (subject === prefix || subject.startsWith(`${prefix}.`) || subject.startsWith('_')) return true;
  return subject.startsWith('$') && !(source.kind === 'kv' && subject.startsWith(`$KV.${source.bucket}.`));
}

function notFound(message: string): ControlError {
  return new ControlError('CHANNEL_NOT_FOUND', message);
}
