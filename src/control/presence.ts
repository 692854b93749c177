import type { Router } from '../routing/router.ts';
import { ControlError, type Served, single } from './operation.ts';
import { presence } from './operations/presence.ts';

/** What is known of members; the room of presence has it. */
export interface Members {
  page(
    channel: string,
    query: { readonly limit: number; readonly after: string | undefined; readonly maxBytes: number },
  ): {
    readonly channel: string;
    readonly count: number;
    readonly members: readonly {
      readonly user?: string;
      readonly id?: string;
      readonly connections: number;
      readonly since: string;
      readonly claims?: Readonly<Record<string, unknown>>;
    }[];
    readonly next?: string;
  };
}

export interface PresenceDeps {
  readonly router: Pick<Router, 'resolve'>;
  /** Absent where no route has presence. */
  readonly members: Members | undefined;
  /** What an answer may take. */
  maxAnswerBytes(): number;
}

export function presenceOperations({ router, members, maxAnswerBytes }: PresenceDeps): Served[] {
  return [
    single(presence, ({ channel, limit, after }) => {
      const destination = router.resolve(channel);
      if (destination === undefined)
        throw new ControlError('CHANNEL_NOT_FOUND', 'no route has a channel of this name');
      if (members === undefined || destination.route.config.presence === undefined)
        throw new ControlError('NOT_PERMITTED', 'the route of this channel has no presence');
      const page = members.page(channel, { limit, after, maxBytes: maxAnswerBytes() });
      return {
        ...page,
        members: page.members.map((member) => ({ ...member, claims: member.claims && { ...member.claims } })),
      };
    }),
  ];
}
