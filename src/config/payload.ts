import { type Pointer, parsePointer } from '../routing/pointer.ts';
import { either, list, section, value } from './keys.ts';
import { text } from './kinds.ts';
import { Misread } from './misread.ts';

/** What is taken out of payloads. */
export type RedactionConfig =
  | { readonly kind: 'pointer'; readonly pointer: Pointer; readonly replacement: string }
  | {
      readonly kind: 'pattern';
      readonly pattern: string;
      /** Of a regular expression: `i`, `s`, both or none. */
      readonly flags: string;
      readonly replacement: string;
    };

/** Where in a JSON payload an event finds its name and its id. */
export interface MapConfig {
  readonly event?: Pointer;
  readonly id?: Pointer;
}

/** What stands in the place of what was taken out, where the config does not say. */
export const REDACTED = '[redacted]';

/** RFC 6901, in the dialect that JavaScript and JSON Schema share. */
export const POINTER_PATTERN = '^(/([^~/]|~[01])*)+$';

const WILD = 'A JSON pointer (RFC 6901), in which `*` stands for any index or member name.';

/** RFC 6901, of something within the payload. */
function pointer(description: string, example: string, isWild: boolean) {
  return value<Pointer>(
    {
      form: 'text',
      type: 'JSON pointer',
      json: { type: 'string', pattern: POINTER_PATTERN },
      expected: `a JSON pointer like ${example}, in which ~1 stands for / and ~0 for ~`,
      read(input) {
        const tokens = typeof input === 'string' ? parsePointer(input) : undefined;
        if (tokens === undefined)
          return new Misread(
            typeof input === 'string' && !input.startsWith('/') ? 'begin it with /' : undefined,
          );
        const isRefused = !isWild && tokens.includes('*');
        return isRefused ? new Misread('it must lead to one value, so it may not hold *') : tokens;
      },
    },
    { description, example },
  );
}

const redaction = section('What else is replaced, or with what.', {
  pointer: pointer(
    `${WILD} The value that it leads to is replaced, whatever it is.`,
    '/users/*/email',
    true,
  ).optional(),
  pattern: text({
    type: 'regular expression',
    expected: 'a regular expression like "\\\\b\\\\d{4}([ -]?\\\\d{4}){3}\\\\b"',
    description:
      'In place of `pointer`: a regular expression. Whatever it matches is replaced, wherever it stands in a string, a member name or a number of a JSON payload, and anywhere in other payloads. A number of which a part matches becomes a string. Prefer a pointer where the field is known. Look-around, back-references and named groups are refused, since no payload may make matching slow.',
    example: '"\\\\b\\\\d{4}([ -]?\\\\d{4}){3}\\\\b"',
  }).optional(),
  flags: text({
    type: '`i`, `s`, `is`',
    pattern: '^(i|s|is|si)$',
    expected: 'i (any case), s (a dot matches line breaks too) or is',
    description: 'Only with `pattern`: `i` for any case, `s` for a dot that matches line breaks too.',
    example: 'i',
  }).optional(),
  with: text({
    expected: 'text to stand in its place like "***"',
    description: 'What stands in its place, as a JSON string in JSON.',
    example: '"***"',
  }).prefault(REDACTED),
});

/** What a route has under `redact`. */
export const redact = list(
  either(pointer(`${WILD} The value that it leads to is replaced.`, '/user/email', true), redaction),
  {
    description:
      'What is replaced in payloads before anything is kept or sent: a JSON pointer, a mapping with `pointer` or `pattern`, or a list of these. Use it where a subject carries more than browsers may see, and its publisher cannot leave it out. With a pointer, a payload that is not JSON is dropped and counted. Such a payload is told as a gap. Headers, subjects and channel names stay as they are.',
    example: '[/user/email, { pattern: "\\\\b\\\\d{4}([ -]?\\\\d{4}){3}\\\\b", with: "***" }]',
  },
).prefault([]);

/** What a route has under `map`. */
export const map = section(
  'Where in JSON payloads what is otherwise said in headers is found. Use it where you cannot have the publishers set them.',
  {
    event: pointer(
      'The event name, a string, number or boolean. The header `Sse-Event` wins; where there is neither, `event` holds.',
      '/type',
      false,
    ).optional(),
    id: pointer(
      'What makes the message known again, a string or number: on core routes a duplicate within two minutes is dropped, as by the header `Nats-Msg-Id`, which wins; with `envelope` it is sent as `id`.',
      '/id',
      false,
    ).optional(),
  },
).prefault({});
