import { z } from 'zod';
import type { Spec } from '../operation.ts';
import { readTime } from '../revocation/time.ts';

const TIME = 'must be seconds (not milliseconds) since 1970, or a time of RFC 3339';
const time = z
  .union([z.number(), z.string()], { error: TIME })
  .refine((value) => readTime(value) !== undefined, { error: TIME });
const name = z.string().min(1);

const input = z
  .strictObject({
    user: name
      .optional()
      .describe('All tokens of this user (`sub`) that were issued up to `issuedBefore`, by default now.'),
    tokenId: name.optional().describe('The token with this `jti`.'),
    issuedBefore: time
      .optional()
      .describe('Tokens issued (`iat`) up to then: of `user`, or else of everybody.'),
    expires: time
      .optional()
      .describe('When the last such token expires by itself. Default: after `control.revocationTtl`.'),
  })
  .superRefine(({ user, tokenId, issuedBefore }, context) => {
    const others = user !== undefined || issuedBefore !== undefined;
    if (tokenId !== undefined && others)
      context.addIssue('tokenId names one token; neither user nor issuedBefore goes with it');
    if (tokenId === undefined && !others)
      context.addIssue('one of user, tokenId and issuedBefore must say whose tokens');
  });

export type RevokeInput = z.output<typeof input>;

const shape = {
  closed: z.int().min(0).describe('Streams that were ended.'),
  until: z.iso
    .datetime()
    .describe('Until when it refuses at least; an earlier revocation may have set it later.'),
  persisted: z.boolean().describe('Whether the bucket has it, and keeps it until then.'),
};

/** What an instance says. */
export const revokePart = z.object(shape);
const output = z.strictObject(shape);

export const revoke: Spec<RevokeInput, z.output<typeof output>> & { readonly fansOut: true } = {
  name: 'revoke',
  kind: 'act',
  summary: 'Refuses tokens from now on, and ends the streams that were opened with them.',
  input,
  output,
  codes: ['CONTROL_FULL', 'CONTROL_UNAVAILABLE'],
  fansOut: true,
  target: ({ user, tokenId, issuedBefore, expires }) => ({ user, tokenId, issuedBefore, expires }),
};
