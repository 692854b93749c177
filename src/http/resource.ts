import type { Identity } from '../auth/identity.ts';
import type { Destination } from '../routing/router.ts';

/** A request for something beside a channel's stream: `/events/{channel}/<name>`. Whoever asks may read the channel. */
export interface ResourceRequest {
  readonly method: 'GET' | 'POST';
  readonly destination: Destination;
  readonly identity: Identity | undefined;
  readonly query: URLSearchParams;
  /** JSON, of a POST; what it holds is still to be checked. */
  readonly body: unknown;
}

export interface ResourceAnswer {
  /** Such as 200. */
  readonly status: number;
  /** Sent as JSON; a refusal is `{error: {code, message}}`. */
  readonly body: unknown;
}

/** What answers such requests. */
export interface Resource {
  /** The last segment of its paths. */
  readonly name: string;
  readonly methods: readonly ('GET' | 'POST')[];
  /** Whether a channel has it; otherwise the path does not exist. */
  serves(destination: Destination): boolean;
  /** Never rejects on account of what was asked. */
  answer(request: ResourceRequest): Promise<ResourceAnswer>;
}
