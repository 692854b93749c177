import type { Destination } from '../routing/router.ts';
import type { Inbox } from './inbox.ts';
import type { Order, PendingQuery } from './pending.ts';
import type { Mark } from './position.ts';
import { type InboxCode, InboxRefusal } from './refusal.ts';

/** Most messages of one list. */
export const MAX_LISTED = 200;
/** Most ids of one mark. */
export const MAX_IDS = 100;
const DEFAULT_LISTED = 50;
const ORDERS: readonly Order[] = ['time', 'priority'];

const STATUS: Readonly<Record<InboxCode, number>> = {
  INBOX_INVALID: 400,
  INBOX_POSITION: 409,
  INBOX_FULL: 409,
  INBOX_UNAVAILABLE: 503,
};

/** What of a request an inbox needs. */
interface InboxRequest {
  readonly method: 'GET' | 'POST';
  readonly destination: Destination;
  readonly query: URLSearchParams;
  readonly body: unknown;
}

/** An inbox as its user has it: `GET` and `POST /events/{channel}/inbox`. */
export class InboxResource {
  readonly name = 'inbox';
  readonly methods = ['GET', 'POST'] as const;
  readonly #inbox: Pick<Inbox, 'serves' | 'unread' | 'pending' | 'read'>;

  constructor(inbox: Pick<Inbox, 'serves' | 'unread' | 'pending' | 'read'>) {
    this.#inbox = inbox;
  }

  serves(destination: Destination): boolean {
    return this.#inbox.serves(destination);
  }

  async answer(request: InboxRequest): Promise<{ readonly status: number; readonly body: unknown }> {
    try {
      return { status: 200, body: await this.#answer(request) };
    } catch (error) {
      if (!(error instanceof InboxRefusal)) throw error;
      const { code, message } = error;
      return { status: STATUS[code], body: { error: { code, message } } };
    }
  }

  #answer({ method, destination, query, body }: InboxRequest): Promise<unknown> {
    if (method === 'POST') return this.#inbox.read(destination, readMark(body));
    const count = query.get('count');
    if (count === null) return this.#inbox.pending(destination, readQuery(query));
    if (count !== 'only') invalid('count is `only`, or left out');
    return this.#inbox.unread(destination);
  }
}

// What it does not know it leaves alone: the token may be in the query too.
function readQuery(query: URLSearchParams): PendingQuery {
  const limit = query.get('limit') ?? `${DEFAULT_LISTED}`;
  if (!/^[1-9]\d{0,3}$/.test(limit) || Number(limit) > MAX_LISTED)
    invalid(`limit is a whole number from 1 to ${MAX_LISTED}`);
  const asked = query.get('order') ?? 'time';
  const order = ORDERS.find((candidate) => candidate === asked);
  if (order === undefined) invalid(`order is one of ${ORDERS.join(', ')}`);
  const after = query.get('after') ?? undefined;
  if (after !== undefined && order === 'priority') invalid('after goes with the order of time only');
  return { limit: Number(limit), order, after };
}

function readMark(body: unknown): Mark {
  const fields = fieldsOf(body);
  const [key, ...others] = Object.keys(fields);
  if (key !== 'read' || others.length > 0) invalid('the body is {"read": …}');
  const mark = fieldsOf(fields.read);
  const [kind, ...more] = Object.keys(mark);
  if (more.length > 0) invalid('read holds one of through, ids and all');
  if (kind === 'through' && isId(mark.through)) return { through: mark.through };
  if (kind === 'all' && mark.all === true) return { all: true };
  if (kind === 'ids' && isIds(mark.ids)) return { ids: mark.ids };
  return invalid(`read is {"through": id}, {"ids": [1 to ${MAX_IDS} ids]} or {"all": true}`);
}

function fieldsOf(value: unknown): Partial<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}

function isId(value: unknown): value is string {
  return typeof value === 'string';
}

function isIds(value: unknown): value is string[] {
  return Array.isArray(value) && value.length > 0 && value.length <= MAX_IDS && value.every(isId);
}

function invalid(message: string): never {
  throw new InboxRefusal('INBOX_INVALID', message);
}
