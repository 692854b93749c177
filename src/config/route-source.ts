import { text } from './kinds.ts';

/** What feeds a route. */
export type SourceConfig =
  | { readonly kind: 'core' }
  | {
      readonly kind: 'stream';
      readonly stream: string;
      /** How far back memory is filled at start. 0: not. */
      readonly warmMs: number;
    }
  | { readonly kind: 'kv'; readonly bucket: string };

/** NATS documentation, "Naming": no white space, dot, wildcard or separator of paths; nats-server takes 255 bytes. */
const STREAM_NAME = '^[^\\s.*>/\\\\\\u0000-\\u001f\\u007f]{1,255}$';
/** ADR-8: the characters of a bucket's name, whose stream is called `KV_` and that name, and of one token of a key. */
const BUCKET_NAME = '^[A-Za-z0-9_-]{1,252}$';
const KEY_TOKEN = '([A-Za-z0-9/_=-]+|\\{[^{}]*\\}|\\*)';
/** In characters; with the bucket still a subject that may be subscribed to. */
const MAX_KEY = 512;

/** What a route has under `stream`. */
export const stream = text({
  type: 'stream name',
  expected: 'the name of a stream like NOTIFY, without white space and . * > / \\',
  pattern: STREAM_NAME,
  description:
    'The JetStream stream that stores what is published to `subject`; NATS must run with JetStream (`nats-server -js`). With it a browser that comes back gets what it missed from any instance and after any restart; without it the source is core NATS, of which one instance remembers what `history` says. One connection may read 5 logs: all core routes together are one, each stream and each bucket is one more.',
  example: 'NOTIFY',
});

/** What a route has under `kv`. */
export const kv = text({
  type: 'bucket name',
  expected: 'the name of a key-value bucket like settings, of A-Z a-z 0-9 _ -',
  pattern: BUCKET_NAME,
  description:
    'A key-value bucket, in place of `subject`: who joins is sent the current value of each key that `key` names, then every change. NATS must run with JetStream.',
  example: 'settings',
});

/** What a route has under `key`. */
export const key = text({
  type: 'key template',
  expected:
    'a key template like app.{app}, in quotes where it begins with {: tokens of A-Z a-z 0-9 / _ = -, {name}, * or a last >, between dots',
  pattern: `^(?=.{1,${MAX_KEY}}$)(${KEY_TOKEN}(\\.${KEY_TOKEN})*(\\.>)?|>)$`,
  description:
    'Only with `kv`: the keys of the bucket that feed such a channel, written as a subject template is. With `*` or `>` a channel has several keys.',
  example: 'app.{app}',
});
