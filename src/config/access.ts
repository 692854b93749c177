import { either, list, record, section, value } from './keys.ts';
import { choice, subject, text } from './kinds.ts';
import { Misread } from './misread.ts';

/** One rule of a route's `access`; any of several lets in. */
export type AccessConfig =
  | { readonly kind: 'public' }
  | { readonly kind: 'authenticated' }
  /** Parameter of the channel → path of the claim that it must equal; every one must. */
  | { readonly kind: 'where'; readonly where: Readonly<Record<string, string>> }
  /** Path of the claim that lists channel patterns. */
  | { readonly kind: 'claim'; readonly claim: string }
  /** Subject on which to ask. */
  | { readonly kind: 'callout'; readonly subject: string };

/** A claim's name may be a URL (`https://example.com/rooms`), with dots that do not lead into it. */
const CLAIM_PATH = '[^{}\\s]+';
/** RFC 7519 4.2 asks for collision-resistant names; nothing real comes near this. */
const MAX_CLAIM_PATH = 256;

const claimReference = value(
  {
    form: 'text',
    type: 'claim in braces',
    json: { type: 'string', pattern: `^\\{claims\\.${CLAIM_PATH}\\}$` },
    expected: 'a claim in quotes and braces like "{claims.sub}"',
    read(input) {
      const path = new RegExp(`^\\{claims\\.(${CLAIM_PATH})\\}$`).exec(
        typeof input === 'string' ? input : '',
      )?.[1];
      return path === undefined || path.length > MAX_CLAIM_PATH ? new Misread() : path;
    },
  },
  { description: 'The claim that the parameter must equal.' },
);

const rule = section(
  'A rule that looks at the token or asks a backend; each stands in a mapping of its own.',
  {
    where: record(claimReference, {
      type: 'mapping of parameters to claims',
      json: {},
      description:
        'Whoever brings a token in which each claim equals the parameter of the channel. A claim that is no single safe token (a dot, a wildcard, a list) equals nothing.',
      example: '{ id: "{claims.sub}" }',
    }).optional(),
    claim: text({
      type: 'claim',
      expected: 'the name of a claim like sidestream.channels, without braces',
      pattern: `^${CLAIM_PATH}$`,
      description:
        'Whoever brings a token with this claim, a list of channel names, that holds the channel. `*` in a name stands for one or more characters but the dot: `["chat-*"]`.',
      example: 'sidestream.channels',
    }).optional(),
    callout: subject({
      description:
        'Whomever the backend that answers on this NATS subject allows; it is asked for each channel of each stream, as `auth.access` says.',
      example: 'authz.subscribe',
    }).optional(),
  },
);

/** What a route has under `access`. */
export const access = list(
  either(
    choice(['public', 'authenticated'], {
      description: '`public` is everybody, `authenticated` whoever brings a good token.',
    }),
    rule,
  ),
  {
    required: 'without it nobody could read this route; write `access: public` to let everybody',
    description:
      'Who may read it: `public` (everybody; it must be written down, so that no route is public by accident), `authenticated` (whoever brings a good token), a mapping with `where`, `claim` or `callout`, or a list of these, of which any one lets in.',
  },
);

/** What a route has under `automatic`. */
export const automatic = choice(['everyone', 'authenticated'], {
  description:
    "Puts every stream (`everyone`) or every stream with a good token (`authenticated`) on this route's channel without being asked. The channel's parameters come from `where`, so one publication to `user.42` reaches every device of user 42.",
  example: 'authenticated',
});
