import { secretToken } from '../auth/tokens.ts';
import { type FileConfig, startBridge, type TestBridge } from '../support/bridge.ts';
import type { ManualClock } from '../support/clock.ts';
import type { NatsServer } from '../support/nats-server.ts';
import { AUTH, now, SECRET } from './protected.ts';

export const SHARED = 'used tickets are told to every instance, in a key-value bucket of NATS';
export const ALONE =
  'no JetStream that we may use: each instance takes a ticket once, whether or not another did';
export const LOST = 'the bucket of used tickets cannot be used; tickets are refused until it is back';

const CHANNELS = {
  mine: { channel: 'user-{id}', subject: 'user.{id}', access: { where: { id: '{claims.sub}' } } },
  rooms: { channel: 'room-{id}', subject: 'room.{id}', access: { callout: 'may.listen' } },
};

/** Tickets in URLs beside ordinary tokens. */
export const TICKET_AUTH = {
  token: ['bearer', 'query:ticket'],
  jwt: [AUTH.jwt, { ...AUTH.jwt, issuer: 'tickets', ticket: { maxAge: '60s', session: '1h' } }],
};

let count = 0;

/** A ticket of user 42, good for a minute. `nowS` in seconds since the Unix epoch. */
export function ticket(claims: Readonly<Record<string, unknown>> = {}, nowS = now()): Promise<string> {
  count += 1;
  const { jti = `ticket-${count}`, iat = nowS, exp = Number(iat) + 60, ...rest } = claims;
  return secretToken(SECRET, 'HS256', { claims: { iss: 'tickets', jti, iat, exp, ...rest } });
}

/** The URL as an EventSource has it. */
export const at = (text: string, channel = 'user-42') => `/events/${channel}?ticket=${text}`;

/** The same for a client that reads a status. */
export const asStatus = (text: string, channel?: string) => `${at(text, channel)}&errors=http`;

export async function startTicketed(
  nats: NatsServer,
  options: { readonly config?: FileConfig; readonly clock?: ManualClock } = {},
): Promise<TestBridge> {
  const { config, clock } = options;
  return startBridge({
    nats,
    config: { channels: CHANNELS, auth: TICKET_AUTH, ...config },
    ...(clock !== undefined && { clock }),
  });
}
