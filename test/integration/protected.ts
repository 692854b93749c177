import { secretToken } from '../auth/tokens.ts';
import type { StreamOptions, TestBridge } from '../support/bridge.ts';

export const SECRET = 'a secret of more than thirty-two bytes for tests';

/** `auth` of a bridge that takes what {@link signed} gives. */
export const AUTH = {
  token: ['bearer', 'cookie:session'],
  jwt: { algorithms: ['HS256'], keys: [{ secret: SECRET }] },
};

/** Seconds since the Unix epoch. */
export const now = () => Math.floor(Date.now() / 1000);

/** A token of user 42 that was issued a minute ago and is good for ten. */
export function signed(claims: Readonly<Record<string, unknown>> = {}): Promise<string> {
  return secretToken(SECRET, 'HS256', { claims: { iat: now() - 60, exp: now() + 600, ...claims } });
}

/** A token as a client brings it that can read a status. */
export const bearer = (token: string) => ({ headers: { Authorization: `Bearer ${token}` } });

/** A token as a native EventSource brings it, which reads no status. */
export const cookie = (token: string) => ({ headers: { Cookie: `session=${token}` } });

/**
 * What a request is answered with: `200` for a stream that is given, `200 overloaded CODE` for one that ends at once, else
 * the status and the code.
 */
export async function answerTo(
  bridge: TestBridge,
  target: string,
  options: StreamOptions = {},
): Promise<string> {
  const client = await bridge.request(target, options);
  if (client.status !== 200) {
    await client.ended();
    return `${client.status} ${JSON.parse(client.body).error.code}`;
  }
  const first = await client.next();
  if (first.event === 'sidestream.open') {
    client.destroy();
    return '200';
  }
  await client.ended();
  const { reason, code } = JSON.parse(first.data);
  return `200 ${reason} ${code}`;
}
