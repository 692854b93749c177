import type { PollBody } from '../http/poll-frames.ts';
import type { StreamOptions, TestBridge } from '../support/bridge.ts';
import { poll } from '../support/poll.ts';
import type { StreamClient } from '../support/stream-client.ts';

export interface Polled {
  readonly client: StreamClient;
  readonly body: PollBody;
}

/** Long-polls, and waits for the answer, which must be 200. */
export async function longPoll(
  bridge: TestBridge,
  target: string,
  cursor = '',
  { headers = {}, ...options }: StreamOptions = {},
): Promise<Polled> {
  const client = await bridge.request(target, {
    ...options,
    headers: { Accept: 'application/json', 'Last-Event-ID': cursor === '' ? undefined : cursor, ...headers },
  });
  await client.ended();
  if (client.status !== 200) throw new Error(`${client.status} ${client.body}`);
  return { client, body: JSON.parse(client.body) };
}

/** Long-polls, and waits until it waits. */
export async function waitingPoll(
  bridge: TestBridge,
  target: string,
  cursor: string,
  options: StreamOptions = {},
): Promise<{ readonly answer: Promise<Polled> }> {
  const { connections } = bridge.metrics;
  const answer = longPoll(bridge, target, cursor, options);
  await poll('the poll to wait', () => bridge.metrics.connections > connections);
  return { answer };
}

export const dataOf = ({ body }: Polled) => body.events.map(({ data }) => data);
