import type { Spec } from '../operation.ts';
import { subscribe, unsubscribe } from './acting.ts';
import { close, create, list } from './channels.ts';
import { disconnect } from './disconnect.ts';
import { inbox, read, unread } from './inbox.ts';
import { drain, instances } from './instances.ts';
import { presence } from './presence.ts';
import { publish, publishBatch } from './publishing.ts';
import { channel, channels, connection, connections, stats } from './reading.ts';
import { revoke } from './revoke.ts';

/** Every operation that there is, by its description alone: what the OpenAPI file is made of. */
export const SPECS: readonly Spec[] = [
  stats,
  channels,
  channel,
  connections,
  connection,
  instances,
  drain,
  revoke,
  subscribe,
  unsubscribe,
  disconnect,
  publish,
  publishBatch,
  create,
  list,
  close,
  inbox,
  unread,
  read,
  presence,
];
